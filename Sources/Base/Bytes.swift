// Writing and reading layouts: fixed-width little-endian integers, raw bytes, and byte strings with a length.
//
// A reader never trusts a length: each read is checked against what is left, and every byte string has a limit that its
// caller names. It throws `BytesError`, which says where.

/// Bytes of a stored or received layout that do not fit it.
public struct BytesError: Error, Equatable, CustomStringConvertible {
  /// What does not fit.
  public var message: String
  /// Where in the bytes that were being read.
  public var offset: Int

  public init(_ message: String, at offset: Int) {
    self.message = message
    self.offset = offset
  }

  public var description: String { "\(message) at byte \(offset)" }
}

/// Appends fields to `bytes`.
public struct ByteWriter: Sendable {
  @usableFromInline var storage: [UInt8]
  @inlinable public var bytes: [UInt8] { storage }

  @inlinable public init(capacity: Int = 256) {
    storage = []
    storage.reserveCapacity(capacity)
  }

  @inlinable public mutating func put<T: FixedWidthInteger>(_ value: T) {
    unsafe withUnsafeBytes(of: value.littleEndian) { unsafe storage.append(contentsOf: $0) }
  }

  @inlinable public mutating func put(raw: some Collection<UInt8>) { storage.append(contentsOf: raw) }
  @inlinable public mutating func put(_ id: some OpaqueID) { put(id.bits.byteSwapped) }
  @inlinable public mutating func put(_ checksum: Checksum) { put(checksum.bits) }

  /// A length of 32 bits, then the bytes.
  @inlinable public mutating func put(string: some Collection<UInt8>) {
    put(UInt32(string.count))
    put(raw: string)
  }

  public mutating func put(text: String) { put(string: Array(text.utf8)) }

  /// Overwrites a field written before.
  @inlinable public mutating func patch<T: FixedWidthInteger>(_ value: T, at offset: Int) {
    for i in 0..<(T.bitWidth / 8) { storage[offset + i] = UInt8(truncatingIfNeeded: value >> T(8 * i)) }
  }
}

/// Takes fields from the front of `bytes`.
public struct ByteReader: Sendable {
  @usableFromInline let bytes: ArraySlice<UInt8>
  /// Next byte to read, as an index from the start of what was given.
  @usableFromInline var position = 0
  @inlinable public var offset: Int { position }

  @inlinable public init(_ bytes: [UInt8]) { self.bytes = bytes[...] }
  @inlinable public init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

  @inlinable public var remaining: Int { bytes.count - offset }

  @inlinable public mutating func take<T: FixedWidthInteger>(_: T.Type = T.self) throws(BytesError) -> T {
    let width = T.bitWidth / 8
    try need(width)
    var value: T.Magnitude = 0
    let start = bytes.startIndex + offset
    for i in 0..<width { value |= T.Magnitude(bytes[start + i]) << T.Magnitude(8 * i) }
    position += width
    return T(truncatingIfNeeded: value)
  }

  @inlinable public mutating func take(raw count: Int) throws(BytesError) -> ArraySlice<UInt8> {
    guard count >= 0 else { throw BytesError("negative length \(count)", at: offset) }
    try need(count)
    let start = bytes.startIndex + offset
    position += count
    return bytes[start..<(start + count)]
  }

  @inlinable public mutating func take<ID: OpaqueID>(id: ID.Type = ID.self) throws(BytesError) -> ID {
    ID(bytes: try take(raw: 16))
  }

  @inlinable public mutating func takeChecksum() throws(BytesError) -> Checksum { Checksum(bits: try take()) }

  @inlinable public mutating func takeString(limit: Int) throws(BytesError) -> [UInt8] {
    let count = Int(try take(UInt32.self))
    guard count <= limit else { throw BytesError("length \(count) is over the limit of \(limit)", at: offset - 4) }
    return Array(try take(raw: count))
  }

  @inlinable public mutating func takeText(limit: Int) throws(BytesError) -> String {
    let start = offset
    guard let text = String(validating: try takeString(limit: limit), as: UTF8.self) else {
      throw BytesError("text is not UTF-8", at: start)
    }
    return text
  }

  /// Four bytes that name the layout.
  public mutating func expect(magic: String) throws(BytesError) {
    let start = offset
    guard Array(try take(raw: 4)) == Array(magic.utf8) else { throw BytesError("not a \(magic) layout", at: start) }
  }

  /// Nothing may follow.
  public func finish() throws(BytesError) {
    guard remaining == 0 else { throw BytesError("\(remaining) bytes too many", at: offset) }
  }

  @inlinable func need(_ count: Int) throws(BytesError) {
    guard remaining >= count else {
      throw BytesError("ends early: \(count) bytes wanted, \(remaining) left", at: offset)
    }
  }
}
