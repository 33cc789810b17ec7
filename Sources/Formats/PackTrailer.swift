// The end of a pack: the names of its chunks and where they lie, then a footer that finds this list from the file's
// end.
//
// The list only finds chunks. It carries a checksum, not a seal: whoever changes it can hide a chunk or point to
// another one, and both are noticed when the chunk is opened under its name. Layout: Formats.docc/pack.md.

public import Base

public struct PackTrailer: Equatable, Sendable {
  public struct Entry: Equatable, Sendable {
    public var name: ChunkName
    /// Of the frame, from the start of the file.
    public var offset: Int
    /// Of the whole frame.
    public var bytes: Int

    public init(name: ChunkName, offset: Int, bytes: Int) {
      self.name = name
      self.offset = offset
      self.bytes = bytes
    }
  }

  public var entries: [Entry]

  static let magic = "KPKX"
  static let footerMagic = "KPKE"
  static let entryBytes = 40
  /// Magic, count and checksum around the entries.
  static let overhead = 12
  public static let footerBytes = 16
  /// Where a list may begin at most, so that a hostile one has a bounded length.
  public static let offsetMax = 256 << 20

  public init(entries: [Entry]) { self.entries = entries }

  /// List and footer of a pack whose frames end at `offset`.
  public func encode(at offset: Int) -> [UInt8] {
    var writer = ByteWriter(capacity: Self.overhead + entries.count * Self.entryBytes + Self.footerBytes)
    writer.put(raw: Self.magic.utf8)
    writer.put(UInt32(entries.count))
    for entry in entries {
      writer.put(raw: entry.name.bytes)
      writer.put(UInt32(entry.offset))
      writer.put(UInt32(entry.bytes))
    }
    writer.put(CRC32C.checksum(writer.bytes))
    var footer = ByteWriter(capacity: Self.footerBytes)
    footer.put(UInt64(offset))
    footer.put(CRC32C.checksum(footer.bytes))
    footer.put(raw: Self.footerMagic.utf8)
    writer.put(raw: footer.bytes)
    return writer.bytes
  }

  /// Where the list begins, from the last 16 bytes of a file of `fileBytes`.
  public static func offset(footer: [UInt8], fileBytes: Int) throws(BytesError) -> Int {
    var reader = ByteReader(footer)
    let offset = try reader.take(UInt64.self)
    let checksum = try reader.take(UInt32.self)
    try reader.expect(magic: footerMagic)
    try reader.finish()
    guard checksum == CRC32C.checksum(Array(footer[..<8])) else {
      throw BytesError("checksum of the pack's footer does not match", at: 0)
    }
    guard offset >= PackHeader.byteCount, offset <= UInt64(offsetMax),
      Int(offset) + overhead + footerBytes <= fileBytes,
      fileBytes - Int(offset) <= overhead + footerBytes + Int(offset) / PackFrameHeader.overhead * entryBytes
    else { throw BytesError("the pack's list of chunks lies outside the file", at: 0) }
    return Int(offset)
  }

  /// Reads the list without its footer. The frames must follow one another from the header to `offset`, without a gap
  /// and without a name twice.
  public init(decoding bytes: [UInt8], at offset: Int) throws(BytesError) {
    guard bytes.count >= Self.overhead else { throw BytesError("list of chunks ends early", at: bytes.count) }
    let end = bytes.count - 4
    var tail = ByteReader(bytes[end...])
    let stored = try tail.take(UInt32.self)
    guard unsafe CRC32C.checksum(bytes.span.bytes.extracting(0..<end)) == stored else {
      throw BytesError("checksum of the list of chunks does not match", at: 0)
    }
    var reader = ByteReader(bytes[..<end])
    try reader.expect(magic: Self.magic)
    let count = Int(try reader.take(UInt32.self))
    guard count * Self.entryBytes == reader.remaining else { throw BytesError("list has another length", at: 4) }
    var entries = [Entry]()
    entries.reserveCapacity(count)
    var seen = Set<ChunkName>(minimumCapacity: count)
    var next = PackHeader.byteCount
    for _ in 0..<count {
      let start = reader.offset
      let name = ChunkName(bytes: try reader.take(raw: ChunkName.byteCount))
      let entry = Entry(name: name, offset: Int(try reader.take(UInt32.self)), bytes: Int(try reader.take(UInt32.self)))
      guard entry.offset == next, entry.bytes >= PackFrameHeader.overhead,
        entry.bytes <= PackFrameHeader.overhead + PackFrameHeader.bodyBytesMax
      else { throw BytesError("chunk lies where it cannot", at: start) }
      guard seen.insert(name).inserted else { throw BytesError("chunk is listed twice", at: start) }
      next += entry.bytes
      entries.append(entry)
    }
    guard next == offset else { throw BytesError("frames do not end where the list begins", at: 0) }
    self.entries = entries
  }
}
