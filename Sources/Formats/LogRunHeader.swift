// The head of an archived run of an account's published records. Layout: Formats.docc/log-run.md.
//
// It says without any key where in the log the run lies, which moments it covers and how it joins its neighbours.

public import Base

public struct LogRunHeader: Equatable, Sendable {
  public var account: AccountID
  /// Indexes of the first and the last record.
  public var first: LogIndex
  public var last: LogIndex
  /// Checksum of the record before the first, and its time; 0 when that is not known.
  public var previous: Checksum
  public var previousTime: UnixMicroseconds
  public var lastEpoch: Epoch
  public var lastChecksum: Checksum
  public var firstTime: UnixMicroseconds
  public var lastTime: UnixMicroseconds
  public var records: Int
  /// Of the record in front that carries the first record's key; 0 when the first carries its own.
  public var keyBytes: Int
  /// Of the run's own frames.
  public var frameBytes: UInt64

  public static let magic = "KLRG"
  public static let version: UInt16 = 1
  public static let byteCount = 128
  public static let fileSuffix = ".klrg"

  public init(
    account: AccountID, first: LogIndex, last: Position, previous: Checksum, previousTime: UnixMicroseconds,
    firstTime: UnixMicroseconds, lastTime: UnixMicroseconds, records: Int, keyBytes: Int, frameBytes: UInt64
  ) {
    self.account = account
    self.first = first
    self.last = last.index
    self.previous = previous
    self.previousTime = previousTime
    lastEpoch = last.epoch
    lastChecksum = last.checksum
    self.firstTime = firstTime
    self.lastTime = lastTime
    self.records = records
    self.keyBytes = keyBytes
    self.frameBytes = frameBytes
  }

  /// Where the run ends.
  public var end: Position { Position(epoch: lastEpoch, index: last, checksum: lastChecksum) }
  public var fileBytes: Int { Self.byteCount + keyBytes + Int(frameBytes) }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: Self.magic.utf8)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(account)
    w.put(first)
    w.put(last)
    w.put(previous)
    w.put(lastChecksum)
    w.put(previousTime)
    w.put(firstTime)
    w.put(lastTime)
    w.put(lastEpoch)
    w.put(UInt32(records))
    w.put(UInt32(keyBytes))
    w.put(UInt32(frameBytes))
    w.put(UInt32(0))
    w.put(UInt32(0))
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(decoding bytes: ArraySlice<UInt8>) throws(BytesError) {
    var r = ByteReader(bytes)
    try r.expect(magic: Self.magic)
    let version = try r.take(UInt16.self)
    guard version == Self.version else { throw BytesError("version \(version) of an archived log is unknown", at: 4) }
    let flags = try r.take(UInt16.self)
    account = try r.take(id: AccountID.self)
    first = try r.take()
    last = try r.take()
    previous = try r.takeChecksum()
    lastChecksum = try r.takeChecksum()
    previousTime = try r.take()
    firstTime = try r.take()
    lastTime = try r.take()
    lastEpoch = try r.take()
    records = Int(try r.take(UInt32.self))
    keyBytes = Int(try r.take(UInt32.self))
    frameBytes = UInt64(try r.take(UInt32.self))
    let reserved = try r.take(UInt64.self)
    let end = r.offset
    let checksum = try r.take(UInt32.self)
    guard checksum == CRC32C.checksum(Array(bytes.prefix(end))) else {
      throw BytesError("checksum of the archived log's header does not match", at: 0)
    }
    guard flags == 0, reserved == 0 else { throw BytesError("reserved fields are not zero", at: 6) }
    guard first >= 1, last >= first, last - first < UInt64(Limits.archivedLogBytesMax),
      records == Int(last - first) + 1
    else { throw BytesError("an archived log of \(records) records from \(first) to \(last)", at: 24) }
    guard keyBytes <= RecordHeader.byteCount + Limits.recordBytesMax,
      frameBytes >= UInt64(records * RecordHeader.byteCount), frameBytes <= UInt64(Limits.archivedLogBytesMax)
    else { throw BytesError("an archived log of \(keyBytes) and \(frameBytes) bytes", at: 112) }
    try r.finish()
  }

  /// `<first index, 16 digits>.klrg`, so that names sort like indexes.
  public static func fileName(first: LogIndex) -> String {
    let hex = String(first, radix: 16)
    return String(repeating: "0", count: 16 - hex.count) + hex + fileSuffix
  }

  /// Nil for what is not such a name.
  public static func first(ofFile name: String) -> LogIndex? {
    guard name.hasSuffix(fileSuffix), name.utf8.count == 16 + fileSuffix.utf8.count else { return nil }
    let digits = name.dropLast(fileSuffix.count)
    guard digits.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else { return nil }
    return LogIndex(digits, radix: 16)
  }
}
