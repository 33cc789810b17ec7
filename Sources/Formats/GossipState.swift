// Everything that a member believes, as two members exchange it over a stream (push-pull): at a join, now and then, and
// with members believed dead. Its age goes with each belief, so that no grave is kept alive by being told on.

public import Base

public struct GossipState: Hashable, Sendable {
  static let version: UInt8 = 1

  public struct Entry: Hashable, Sendable {
    public enum Standing: UInt8, Hashable, Sendable, Comparable {
      case alive = 0
      case suspect = 1
      case dead = 2
      case left = 3
      public static func < (a: Standing, b: Standing) -> Bool { a.rawValue < b.rawValue }
    }

    static let byteCountMin = 1 + 16 + 8 + 4 + GossipProfile.byteCountMin + GossipHealth.byteCount
    public var standing: Standing
    public var node: NodeID
    public var incarnation: Incarnation
    /// How long the teller has believed it; saturates.
    public var ageSeconds: UInt32
    public var profile: GossipProfile
    public var health: GossipHealth

    public init(
      standing: Standing, node: NodeID, incarnation: Incarnation, ageSeconds: UInt32, profile: GossipProfile,
      health: GossipHealth
    ) {
      self.standing = standing
      self.node = node
      self.incarnation = incarnation
      self.ageSeconds = ageSeconds
      self.profile = profile
      self.health = health
    }
  }

  public var entries: [Entry]

  public init(entries: [Entry]) { self.entries = entries }

  public func encode() -> [UInt8] {
    precondition(entries.count <= GossipLimits.membersMax, "\(entries.count) members in a state")
    var w = ByteWriter(capacity: 8 + entries.count * 96)
    w.put(Self.version)
    w.put(UInt8(0))
    w.put(UInt16(0))
    w.put(UInt32(entries.count))
    for entry in entries {
      w.put(entry.standing.rawValue)
      w.put(entry.node)
      w.put(entry.incarnation)
      w.put(entry.ageSeconds)
      entry.profile.encode(to: &w)
      entry.health.encode(to: &w)
    }
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count <= GossipLimits.stateBytesMax else {
      throw FormatError(.limit, "a state of \(bytes.count) bytes")
    }
    var r = GossipReader(bytes)
    try r.takeVersion(Self.version, of: "gossip state")
    try r.takeZeros(3)
    let count = Int(try r.take(UInt32.self))
    guard count <= GossipLimits.membersMax else { throw FormatError(.limit, "\(count) members", at: 4) }
    guard count <= r.remaining / Entry.byteCountMin else {
      throw FormatError(.truncated, "\(count) members in \(r.remaining) bytes", at: 4)
    }
    entries = []
    entries.reserveCapacity(count)
    for _ in 0..<count {
      let start = r.offset
      guard let standing = Entry.Standing(rawValue: try r.take()) else {
        throw FormatError(.damaged, "unknown standing", at: start)
      }
      let node = try r.takeNode()
      let incarnation = try r.takeIncarnation()
      let age: UInt32 = try r.take()
      let profile = try GossipProfile(from: &r)
      entries.append(
        Entry(
          standing: standing, node: node, incarnation: incarnation, ageSeconds: age, profile: profile,
          health: try GossipHealth(from: &r)))
    }
    try r.finish()
  }
}
