// One shard in one epoch, as beats and replies name it, and where one node's log of a shard ends.

public import Base

public struct OwnershipClaim: Hashable, Comparable, Sendable, CustomStringConvertible {
  static let byteCount = 24
  public var account: AccountID
  public var epoch: Epoch

  public init(account: AccountID, epoch: Epoch) {
    self.account = account
    self.epoch = epoch
  }

  public static func < (a: OwnershipClaim, b: OwnershipClaim) -> Bool { (a.account, a.epoch) < (b.account, b.epoch) }
  public var description: String { "\(String(account.description.suffix(4)))@\(epoch)" }

  func encode(to w: inout ByteWriter) {
    w.put(account)
    w.put(epoch)
  }

  init(from r: inout OwnershipReader) throws(FormatError) {
    account = try r.takeAccount()
    epoch = try r.takeEpoch()
  }
}

public struct ReplicaPlace: Hashable, Sendable, CustomStringConvertible {
  static let byteCount = 48
  public var account: AccountID
  public var node: NodeID
  /// What it acknowledged as synced.
  public var place: LogPlace

  public init(account: AccountID, node: NodeID, place: LogPlace) {
    self.account = account
    self.node = node
    self.place = place
  }

  public var description: String { "\(node.shortName) \(String(account.description.suffix(4))) \(place)" }

  func encode(to w: inout ByteWriter) {
    w.put(account)
    w.put(node)
    place.encode(to: &w)
  }

  init(from r: inout OwnershipReader) throws(FormatError) {
    account = try r.takeAccount()
    node = try r.takeNode()
    place = try LogPlace(from: &r)
  }
}
