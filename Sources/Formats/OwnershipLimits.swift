// The walls around what the control store and other nodes may say about ownership: counts that no correct writer exceeds.

public enum OwnershipLimits {
  /// Voters of one shard; previous voters too.
  public static let votersMax = 7
  /// Replicas that catch up beside them.
  public static let learnersMax = 16
  /// Beyond any number of elections: a larger epoch or index is damage, and adding one never overflows.
  public static let epochMax: UInt64 = 1 << 62
  /// Entries of one kind in one message, whatever carries it. How many a node sends is a matter of its configuration.
  public static let entriesMax = 512
  /// A beat with as many entries of each kind as may be, and a reply.
  public static let messageBytesMax = 64 << 10
  /// A record with as many replicas as may be and the longest regions.
  public static let recordBytesMax = 4 << 10
}
