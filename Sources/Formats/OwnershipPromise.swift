// What a voter keeps on its disk about one shard: the epoch that it adopted, below which it grants, acknowledges and
// reports nothing any more, and a place that its log had reached by then.
//
// A log that ends before `floor` has lost records that this voter may have acknowledged.

public import Base

public struct OwnershipPromise: Hashable, Sendable, CustomStringConvertible {
  static let version: UInt8 = 1
  public static let byteCount = 48
  public var account: AccountID
  public var epoch: Epoch
  public var floor: LogPlace

  public init(account: AccountID, epoch: Epoch, floor: LogPlace) {
    self.account = account
    self.epoch = epoch
    self.floor = floor
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(Self.version)
    w.put(raw: [0, 0, 0])
    w.put(account)
    w.put(epoch)
    floor.encode(to: &w)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count == Self.byteCount else { throw FormatError(.truncated, "a promise of \(bytes.count) bytes") }
    var r = OwnershipReader(bytes)
    try r.takeVersion(Self.version, of: "promise")
    for _ in 0..<3 { guard try r.take(UInt8.self) == 0 else { throw FormatError(.damaged, "reserved bytes", at: 1) } }
    account = try r.takeAccount()
    epoch = try r.takeEpoch()
    floor = try LogPlace(from: &r)
    guard try r.take(UInt32.self) == CRC32C.checksum(Array(bytes[..<(Self.byteCount - 4)])) else {
      throw FormatError(.damaged, "a promise does not match its check", at: Self.byteCount - 4)
    }
    try r.finish()
  }

  public var description: String { "\(String(account.description.suffix(4)))@\(epoch) floor \(floor)" }
}
