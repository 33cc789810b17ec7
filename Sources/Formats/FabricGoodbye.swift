// Why a connection or a stream is ended, as the other side is told. Layout: Formats.docc/fabric.md.
//
// A reason that this release does not know reads as the first one.

/// Why a side closes a connection.
public enum FabricGoodbye: UInt16, Sendable, CaseIterable {
  /// It stops: an orderly end, not a fault.
  case stopping = 0
  /// Nobody needed the connection for a while.
  case idle = 1
  /// Another connection takes its place.
  case renewing = 2
  /// The peer is not wanted, or asked what it must not.
  case refused = 3

  public init(_ word: UInt16) { self = FabricGoodbye(rawValue: word) ?? .stopping }
}

/// Why a side gives a stream up.
public enum FabricReset: UInt16, Sendable, CaseIterable {
  case givenUp = 0
  /// The peer may not ask this.
  case refused = 1

  public init(_ word: UInt16) { self = FabricReset(rawValue: word) ?? .givenUp }
}
