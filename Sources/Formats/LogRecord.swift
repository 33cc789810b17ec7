// The frame of one record, as it lies in the commit log, in segments and in the archive, and crosses between nodes.
//
// What recovery, splitting and catch-up need lies outside the seal, so they need no key. The checksum chains each record
// to the one before it in its account's log; it covers every other byte of the frame.

public import Base

public enum RecordKind: UInt8, Sendable {
  /// Pages of one transaction, or of a part of it.
  case pages = 1
  /// A checkpoint's mark: no content; the first record of a page after it is a whole image.
  case mark = 2
  /// The first of an epoch: carries the epoch's log key, wrapped under the account's key for logs.
  case epoch = 3
  /// Names recordings that later records of the same group make exist: `RecordingsPayload`.
  case recordings = 4
}

public struct RecordHeader: Sendable, Equatable {
  public static let byteCount = 104
  static let version: UInt8 = 1
  static let checksumOffset = 88

  public var kind: RecordKind
  /// More records of the same transaction follow; they count only together.
  public var continues: Bool
  public var account: AccountID
  public var epoch: Epoch
  public var index: LogIndex
  /// The writer's commit index when it made the record.
  public var commitIndex: LogIndex
  public var time: UnixMicroseconds
  public var payloadBytes: Int
  private var nonceLow: UInt64
  private var nonceHigh: UInt32
  public var previous: Checksum
  public var checksum: Checksum

  public init(
    kind: RecordKind, continues: Bool, account: AccountID, epoch: Epoch, index: LogIndex, commitIndex: LogIndex,
    time: UnixMicroseconds, payloadBytes: Int, nonce: [UInt8], previous: Checksum, checksum: Checksum = .zero
  ) {
    precondition(nonce.count == 12)
    nonceLow = nonce[..<8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    nonceHigh = nonce[8...].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    self.kind = kind
    self.continues = continues
    self.account = account
    self.epoch = epoch
    self.index = index
    self.commitIndex = commitIndex
    self.time = time
    self.payloadBytes = payloadBytes
    self.previous = previous
    self.checksum = checksum
  }

  /// 12 bytes.
  public var nonce: [UInt8] {
    var w = ByteWriter(capacity: 12)
    w.put(nonceLow)
    w.put(nonceHigh)
    return w.bytes
  }

  /// Redo may begin behind it: it carries its epoch's key, and pages start anew.
  public var carriesKey: Bool { kind == .mark || kind == .epoch }
  public var position: Position { Position(epoch: epoch, index: index, checksum: checksum) }
  /// Bytes of the whole frame.
  public var frameBytes: Int { Self.byteCount + payloadBytes }

  /// The header's bytes; the first 88 are what the checksum covers, the first 60 what the seal binds.
  /// The array has room for `capacity` bytes.
  public func encode(capacity: Int = RecordHeader.byteCount) -> [UInt8] {
    var w = ByteWriter(capacity: max(capacity, Self.byteCount))
    w.put(raw: "KREC".utf8)
    w.put(Self.version)
    w.put(kind.rawValue)
    w.put(UInt16(continues ? 1 : 0))
    w.put(account)
    w.put(epoch)
    w.put(index)
    w.put(commitIndex)
    w.put(time)
    w.put(UInt32(payloadBytes))
    w.put(nonceLow)
    w.put(nonceHigh)
    w.put(previous)
    w.put(checksum)
    return w.bytes
  }

  /// Writes the checksum into an encoded frame.
  public static func patch(_ frame: inout [UInt8], checksum: Checksum) {
    for i in 0..<16 { frame[checksumOffset + i] = UInt8(truncatingIfNeeded: checksum.bits >> UInt128(8 * i)) }
  }

  /// Bytes of an encoded header that are associated data of the seal.
  public static let sealedPrefix = 60
  /// Bytes of an encoded header that the checksum covers.
  public static let checkedPrefix = checksumOffset

  /// Reads and bounds a header; whether the checksum holds is for whoever has the payload.
  public init(_ bytes: ArraySlice<UInt8>) throws(FormatError) {
    var r = ByteReader(bytes)
    do {
      guard Array(try r.take(raw: 4)) == Array("KREC".utf8) else {
        throw FormatError(.foreign, "no record begins here")
      }
      let version: UInt8 = try r.take()
      guard version == Self.version else { throw FormatError(.version, "record version \(version)", at: 4) }
      guard let kind = RecordKind(rawValue: try r.take()) else { throw FormatError(.damaged, "unknown kind", at: 5) }
      let flags: UInt16 = try r.take()
      guard flags <= 1 else { throw FormatError(.damaged, "unknown flags \(flags)", at: 6) }
      self.kind = kind
      continues = flags == 1
      account = try r.take(id: AccountID.self)
      epoch = try r.take()
      index = try r.take()
      commitIndex = try r.take()
      time = try r.take()
      payloadBytes = Int(try r.take(UInt32.self))
      guard payloadBytes <= Limits.recordBytesMax else {
        throw FormatError(.limit, "record of \(payloadBytes) bytes", at: 56)
      }
      nonceLow = try r.take()
      nonceHigh = try r.take()
      previous = try r.takeChecksum()
      checksum = try r.takeChecksum()
    } catch let error as BytesError {
      throw FormatError(error)
    } catch let error as FormatError {
      throw error
    } catch {
      fatalError("no other error is thrown: \(error)")
    }
  }
}
