// How a member says it is doing. Measured by itself, so it is a hint for placement and hand-over, never a proof.

import Base

public struct GossipHealth: Hashable, Sendable {
  public static let byteCount = 16
  /// Counts the reports of one incarnation; the greater is the newer.
  public var version: UInt32
  /// Share of what the node can do that is in use, and share of its disk that is full, in thousandths.
  public var loadPermille: UInt16
  public var diskFillPermille: UInt16
  /// How late the loop wakes, how long a sync takes, how far standbys apply behind; all saturate.
  public var loopLagMilliseconds: UInt16
  public var syncMilliseconds: UInt16
  public var applyLagMilliseconds: UInt16
  /// Lifeguard's local health multiplier less one: 0 is healthy.
  public var score: UInt8
  public var flags: Flags

  public struct Flags: OptionSet, Hashable, Sendable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// Takes no new work.
    public static let draining = Flags(rawValue: 1)
    /// Stalled, full or far behind: others should take its work over.
    public static let degraded = Flags(rawValue: 2)
    static let known: Flags = [.draining, .degraded]
  }

  public init(
    version: UInt32 = 0, loadPermille: UInt16 = 0, diskFillPermille: UInt16 = 0, loopLagMilliseconds: UInt16 = 0,
    syncMilliseconds: UInt16 = 0, applyLagMilliseconds: UInt16 = 0, score: UInt8 = 0, flags: Flags = []
  ) {
    self.version = version
    self.loadPermille = loadPermille
    self.diskFillPermille = diskFillPermille
    self.loopLagMilliseconds = loopLagMilliseconds
    self.syncMilliseconds = syncMilliseconds
    self.applyLagMilliseconds = applyLagMilliseconds
    self.score = score
    self.flags = flags
  }

  func encode(to w: inout ByteWriter) {
    w.put(version)
    w.put(loadPermille)
    w.put(diskFillPermille)
    w.put(loopLagMilliseconds)
    w.put(syncMilliseconds)
    w.put(applyLagMilliseconds)
    w.put(score)
    w.put(flags.rawValue)
  }

  init(from r: inout GossipReader) throws(FormatError) {
    version = try r.take()
    loadPermille = try r.take()
    diskFillPermille = try r.take()
    loopLagMilliseconds = try r.take()
    syncMilliseconds = try r.take()
    applyLagMilliseconds = try r.take()
    score = try r.take()
    flags = Flags(rawValue: try r.take())
    guard flags.isSubset(of: .known) else {
      throw FormatError(.damaged, "unknown health flags \(flags.rawValue)", at: r.offset - 1)
    }
  }
}
