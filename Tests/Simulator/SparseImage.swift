// The bytes of a file in blocks of 4 KiB, of which those that are all zero take no memory.
//
// A value: images share blocks until one of them writes. Blocks may lie beyond `length` while an image is being put
// together; `setLength` cuts them off.

internal import Glibc

struct SparseImage {
  static let block = 4096
  static let sector = 512
  private static let zeros = [UInt8](repeating: 0, count: block)

  private(set) var length = 0
  private var blocks: [[UInt8]?] = []

  /// Gives how many bytes were there.
  func read(into target: UnsafeMutableRawBufferPointer, at offset: Int) -> Int {
    let count = max(0, min(target.count, length - offset))
    var done = 0
    while done < count {
      let (b, within) = (offset + done).quotientAndRemainder(dividingBy: Self.block)
      let n = min(Self.block - within, count - done)
      let part = UnsafeMutableRawBufferPointer(rebasing: target[done..<(done + n)])
      if b < blocks.count, let bytes = blocks[b] {
        bytes.withUnsafeBytes { part.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[within..<(within + n)])) }
      } else {
        memset(part.baseAddress!, 0, n)
      }
      done += n
    }
    return count
  }

  mutating func write(_ source: UnsafeRawBufferPointer, at offset: Int) {
    if source.isEmpty { return }
    grow(to: offset + source.count)
    var done = 0
    while done < source.count {
      let (b, within) = (offset + done).quotientAndRemainder(dividingBy: Self.block)
      let n = min(Self.block - within, source.count - done)
      put(UnsafeRawBufferPointer(rebasing: source[done..<(done + n)]), block: b, at: within)
      done += n
    }
    length = max(length, offset + source.count)
  }

  mutating func write(_ bytes: [UInt8], at offset: Int) { bytes.withUnsafeBytes { write($0, at: offset) } }

  mutating func write(zeros count: Int, at offset: Int) {
    var done = 0
    while done < count {
      let n = min(Self.block - (offset + done) % Self.block, count - done)
      Self.zeros.withUnsafeBytes { write(UnsafeRawBufferPointer(rebasing: $0[..<n]), at: offset + done) }
      done += n
    }
  }

  /// Longer: zeros follow. Shorter: what lay behind is gone for good.
  mutating func setLength(_ bytes: Int) {
    let whole = (bytes + Self.block - 1) / Self.block
    if blocks.count > whole { blocks.removeLast(blocks.count - whole) }
    let within = bytes % Self.block
    if within > 0, blocks.count == whole, blocks[whole - 1] != nil {
      blocks[whole - 1]!.withUnsafeMutableBytes {
        _ = memset($0.baseAddress! + within, 0, Self.block - within)
      }
    }
    length = bytes
  }

  /// Takes the sectors that `range` of bytes touches from `other`; the length stays.
  mutating func copySectors(_ range: Range<Int>, from other: SparseImage) {
    var at = range.lowerBound / Self.sector * Self.sector
    let end = (range.upperBound + Self.sector - 1) / Self.sector * Self.sector
    grow(to: end)
    while at < end {
      let (b, within) = at.quotientAndRemainder(dividingBy: Self.block)
      let n = min(Self.block - within, end - at)
      let source = b < other.blocks.count ? other.blocks[b] : nil
      if n == Self.block {
        blocks[b] = source
      } else {
        (source ?? Self.zeros).withUnsafeBytes {
          put(UnsafeRawBufferPointer(rebasing: $0[within..<(within + n)]), block: b, at: within)
        }
      }
      at += n
    }
  }

  mutating func flip(bit: Int, at offset: Int) {
    precondition(offset < length && (0..<8).contains(bit), "flips a bit of the file")
    let (b, within) = offset.quotientAndRemainder(dividingBy: Self.block)
    grow(to: offset + 1)
    blocks[b, default: Self.zeros][within] ^= 1 << UInt8(bit)
  }

  private mutating func put(_ source: UnsafeRawBufferPointer, block b: Int, at within: Int) {
    if blocks[b] == nil {
      if Self.isZero(source) { return }
      blocks[b] = Self.zeros
    }
    blocks[b]!.withUnsafeMutableBytes {
      UnsafeMutableRawBufferPointer(rebasing: $0[within..<(within + source.count)]).copyMemory(from: source)
    }
  }

  private mutating func grow(to end: Int) {
    let wanted = (end + Self.block - 1) / Self.block
    while blocks.count < wanted { blocks.append(nil) }
  }

  static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var at = 0
    while at < bytes.count {
      let n = min(block, bytes.count - at)
      let same = zeros.withUnsafeBytes { memcmp($0.baseAddress!, bytes.baseAddress! + at, n) == 0 }
      if !same { return false }
      at += n
    }
    return true
  }
}

extension [[UInt8]?] {
  fileprivate subscript(index: Int, default fallback: @autoclosure () -> [UInt8]) -> [UInt8] {
    get { self[index] ?? fallback() }
    set { self[index] = newValue }
  }
}
