// The walls around what members tell each other: sizes and counts that no correct sender exceeds.
//
// A decoder compares with them before it allocates. What an operator may tune lies in the membership's configuration.

/// How often an owner has said anew that it lives (SWIM 4.2); only its owner raises it. 0 is before the first.
public typealias Incarnation = UInt64

public enum GossipLimits {
  /// A datagram's plaintext: with the seal's 54 bytes and 48 of IPv6 and UDP it fits into the 1,280 bytes that every
  /// IPv6 path carries.
  public static let datagramBytesMax = 1178
  /// More updates than this do not fit into a datagram anyway (25 bytes each).
  public static let updatesMax = 47
  /// Names of nodes, regions and zones, in bytes of UTF-8.
  public static let textBytesMax = 63
  /// Members in one full state; a cluster is smaller by far.
  public static let membersMax = 4096
  /// A full state of the largest cluster with the longest names.
  public static let stateBytesMax = 2 << 20
  /// Beyond any number of restarts and refutations: a larger one is damage, and adding one never overflows.
  public static let incarnationMax: Incarnation = 1 << 62
}
