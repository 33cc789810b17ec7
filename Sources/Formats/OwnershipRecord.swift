// Who owns one shard: the value that the control store keeps for it. Every change of it is a compare-and-set against the
// revision that was read.
//
// An epoch begins without a primary and gets one by the second compare-and-set, or it names one at once (a hand-over).
// While a change of voters is not known committed, the voters before it count too.

public import Base

public struct OwnershipRecord: Hashable, Sendable, CustomStringConvertible {
  static let version: UInt8 = 1

  /// A node with its region, kept together so that a write set can be judged without looking anything up.
  public struct Replica: Hashable, Sendable {
    public var node: NodeID
    public var region: String

    public init(node: NodeID, region: String) {
      self.node = node
      self.region = region
    }
  }

  public var account: AccountID
  /// What an acknowledged write survives: 0 nothing, 1 a node, 2 a region.
  public var goal: UInt8
  public var epoch: Epoch
  /// Nil while the voters of this epoch decide.
  public var primary: NodeID?
  /// 1 to 7, each node once.
  public var voters: [Replica]
  /// Those whom the last change replaced, with their goal; none once it is known committed.
  public var previous: [Replica]
  public var previousGoal: UInt8
  /// They receive records and count for nothing.
  public var learners: [Replica]

  public init(
    account: AccountID, goal: UInt8, epoch: Epoch, primary: NodeID? = nil, voters: [Replica],
    previous: [Replica] = [], previousGoal: UInt8 = 0, learners: [Replica] = []
  ) {
    self.account = account
    self.goal = goal
    self.epoch = epoch
    self.primary = primary
    self.voters = voters
    self.previous = previous
    self.previousGoal = previousGoal
    self.learners = learners
  }

  /// Keys of all records begin so.
  public static let keyPrefix = "shard/"
  public static func key(_ account: AccountID) -> String { keyPrefix + account.description }
  public var key: String { Self.key(account) }
  /// Nil for a key of something else.
  public static func account(ofKey key: String) -> AccountID? {
    key.hasPrefix(keyPrefix) ? AccountID(String(key.dropFirst(keyPrefix.count))) : nil
  }

  /// Traps on a record over the limits: whoever makes one checks before.
  public func encode() -> [UInt8] {
    precondition((1...OwnershipLimits.votersMax).contains(voters.count), "\(voters.count) voters")
    precondition(previous.count <= OwnershipLimits.votersMax, "\(previous.count) previous voters")
    precondition(learners.count <= OwnershipLimits.learnersMax, "\(learners.count) learners")
    precondition(goal <= 2 && previousGoal <= 2, "goal \(goal), \(previousGoal)")
    var w = ByteWriter(capacity: 256)
    w.put(Self.version)
    w.put(goal)
    w.put(previousGoal)
    w.put(UInt8(primary == nil ? 0 : 1))
    w.put(account)
    w.put(epoch)
    if let primary { w.put(primary) }
    for replicas in [voters, previous, learners] {
      w.put(UInt16(replicas.count))
      for replica in replicas {
        w.put(replica.node)
        w.put(shortText: replica.region)
      }
    }
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count <= OwnershipLimits.recordBytesMax else {
      throw FormatError(.limit, "an ownership record of \(bytes.count) bytes")
    }
    var r = OwnershipReader(bytes)
    try r.takeVersion(Self.version, of: "ownership record")
    goal = try r.take()
    previousGoal = try r.take()
    guard goal <= 2, previousGoal <= 2 else { throw FormatError(.damaged, "goal \(goal), \(previousGoal)", at: 1) }
    let hasPrimary = try r.takeFlag()
    account = try r.takeAccount()
    epoch = try r.takeEpoch()
    primary = hasPrimary ? try r.takeNode() : nil
    voters = try Self.replicas(&r, limit: OwnershipLimits.votersMax)
    guard !voters.isEmpty else { throw FormatError(.damaged, "no voters", at: r.offset) }
    previous = try Self.replicas(&r, limit: OwnershipLimits.votersMax)
    learners = try Self.replicas(&r, limit: OwnershipLimits.learnersMax)
    try r.finish()
  }

  private static func replicas(_ r: inout OwnershipReader, limit: Int) throws(FormatError) -> [Replica] {
    let start = r.offset
    let count = try r.takeCount(limit: limit, entryBytes: 17)
    var replicas: [Replica] = []
    for _ in 0..<count {
      let node = try r.takeNode()
      guard !replicas.contains(where: { $0.node == node }) else {
        throw FormatError(.damaged, "a node twice", at: start)
      }
      replicas.append(Replica(node: node, region: try r.takeText()))
    }
    return replicas
  }

  public var description: String {
    func names(_ replicas: [Replica]) -> String { replicas.map(\.node.shortName).joined(separator: " ") }
    return "\(String(account.description.suffix(4)))@\(epoch) primary \(primary?.shortName ?? "none") voters "
      + names(voters) + (previous.isEmpty ? "" : " previous \(names(previous))")
      + (learners.isEmpty ? "" : " learners \(names(learners))")
  }
}
