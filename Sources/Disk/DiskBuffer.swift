// Memory for direct writes: starts on a page, grows by doubling, is used again and again.
//
// Direct writes move bytes between this memory and the device without a copy, so its address must be aligned; offset
// and length must be multiples of the device's block. `pad(to:)` fills up to one.

internal import Glibc

public final class DiskBuffer: @unchecked Sendable {
  // Invariant: one owner at a time uses a buffer; it is handed on only after its last use.

  /// Alignment of the memory, and the largest block that a device asks offsets and lengths to be aligned to.
  public static let alignment = 4096

  public private(set) var count = 0
  private var memory: UnsafeMutableRawBufferPointer

  public init(capacity: Int = 64 << 10) {
    memory = Self.allocate(capacity)
  }

  deinit { memory.deallocate() }

  public var capacity: Int { memory.count }

  public func append(_ bytes: RawSpan) {
    reserve(count + bytes.byteCount)
    bytes.withUnsafeBytes { source in
      UnsafeMutableRawBufferPointer(rebasing: memory[count...]).copyMemory(from: source)
    }
    count += bytes.byteCount
  }

  public func append(_ bytes: [UInt8]) { append(bytes.span.bytes) }

  public func append(zeros: Int) {
    reserve(count + zeros)
    if zeros > 0 { memset(memory.baseAddress! + count, 0, zeros) }
    count += zeros
  }

  /// Appends zeros up to a multiple of `block`, a power of two.
  public func pad(to block: Int) { append(zeros: -count & (block - 1)) }

  /// Forgets the content and keeps the memory.
  public func clear() { count = 0 }

  /// Overwrites bytes that are there already.
  public func replace(at offset: Int, with bytes: RawSpan) {
    precondition(offset >= 0 && offset + bytes.byteCount <= count, "replacing beyond the end")
    bytes.withUnsafeBytes { source in
      UnsafeMutableRawBufferPointer(rebasing: memory[offset...]).copyMemory(from: source)
    }
  }

  /// Lends what was appended.
  public func withSpan<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
    try body(UnsafeRawBufferPointer(rebasing: memory[..<count]).bytes)
  }

  private func reserve(_ wanted: Int) {
    guard wanted > memory.count else { return }
    let larger = Self.allocate(max(wanted, memory.count * 2))
    larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: memory[..<count]))
    memory.deallocate()
    memory = larger
  }

  private static func allocate(_ bytes: Int) -> UnsafeMutableRawBufferPointer {
    let rounded = (max(bytes, 1) + alignment - 1) & ~(alignment - 1)
    return .allocate(byteCount: rounded, alignment: alignment)
  }
}

extension DiskFile {
  /// Writes what `buffer` holds.
  public func write(_ buffer: DiskBuffer, at offset: UInt64) throws(DiskError) {
    try buffer.withSpan { (bytes) throws(DiskError) in try write(bytes, at: offset) }
  }
}
