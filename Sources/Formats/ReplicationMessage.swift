// What replicas of one shard say to each other: records and how far they are committed, and how far a replica has them.
//
// The stream below proves sender and integrity, keeps the order and loses nothing while it is up. A message is taken
// whole or not at all; its records are of the shard, without gaps, each chained to the one before. Whether a frame is
// what its checksum says is not asked here: that needs SHA-256, and whoever has it asks before the message goes on.

public import Base

public enum ReplicationMessage: Sendable, Equatable, CustomStringConvertible {
  static let version: UInt8 = 1
  /// Of an append without records.
  static let appendBytes = 77

  /// A primary's records behind `previous`, none to tell how far they are committed, or to ask.
  public struct Append: Sendable, Equatable {
    public var account: AccountID
    public var epoch: Epoch
    public var previous: Position
    public var records: [SealedRecord]
    /// So far everything is committed.
    public var commit: LogIndex
    /// The newest time that the receiver said it sent something, by its own clock; 0 when the sender does not vouch that
    /// everything acknowledged before is committed.
    public var echo: UInt64
    /// Wants an answer even when nothing is new.
    public var asks: Bool

    public init(
      account: AccountID, epoch: Epoch, previous: Position, records: [SealedRecord] = [], commit: LogIndex,
      echo: UInt64 = 0, asks: Bool = false
    ) {
      self.account = account
      self.epoch = epoch
      self.previous = previous
      self.records = records
      self.commit = commit
      self.echo = echo
      self.asks = asks
    }
  }

  /// A replica's word that it has everything up to `synced` on its disk, as the primary of this epoch has it.
  public struct Ack: Sendable, Equatable {
    public var account: AccountID
    public var epoch: Epoch
    public var synced: Position
    /// So far it has what the primary has, on the disk or on the way there.
    public var end: LogIndex
    /// So far it shows it to readers.
    public var applied: LogIndex
    /// The sender's own clock, nanoseconds.
    public var sentAt: UInt64
    /// A reader waits: wants an append with its echo.
    public var asks: Bool

    public init(
      account: AccountID, epoch: Epoch, synced: Position, end: LogIndex, applied: LogIndex, sentAt: UInt64,
      asks: Bool = false
    ) {
      self.account = account
      self.epoch = epoch
      self.synced = synced
      self.end = end
      self.applied = applied
      self.sentAt = sentAt
      self.asks = asks
    }
  }

  /// A replica cannot take what it was sent.
  public struct Refusal: Sendable, Equatable {
    public enum Reason: UInt8, Sendable, CaseIterable {
      /// What was sent does not follow what is here.
      case mismatch = 0
      /// Another epoch is followed here, or none.
      case epoch = 1
      /// The log here is damaged.
      case damaged = 2
    }

    public var account: AccountID
    /// The greatest that the sender knows of.
    public var epoch: Epoch
    /// The index behind which the refused append was to go; tells a late refusal from the one that is waited for.
    public var previous: LogIndex
    /// The last record of its log.
    public var end: Position
    public var committed: Position
    public var why: Reason

    public init(
      account: AccountID, epoch: Epoch, previous: LogIndex, end: Position, committed: Position, why: Reason
    ) {
      self.account = account
      self.epoch = epoch
      self.previous = previous
      self.end = end
      self.committed = committed
      self.why = why
    }
  }

  /// The receiver would go on at `from`, which the primary's log no longer has: it needs a base.
  public struct Base: Sendable, Equatable {
    public var account: AccountID
    public var epoch: Epoch
    public var from: LogIndex

    public init(account: AccountID, epoch: Epoch, from: LogIndex) {
      self.account = account
      self.epoch = epoch
      self.from = from
    }
  }

  case append(Append)
  case ack(Ack)
  case refuse(Refusal)
  case base(Base)

  public var account: AccountID {
    switch self {
    case .append(let message): message.account
    case .ack(let message): message.account
    case .refuse(let message): message.account
    case .base(let message): message.account
    }
  }

  public var epoch: Epoch {
    switch self {
    case .append(let message): message.epoch
    case .ack(let message): message.epoch
    case .refuse(let message): message.epoch
    case .base(let message): message.epoch
    }
  }

  public var description: String {
    switch self {
    case .append(let m):
      "append @\(m.epoch) behind \(m.previous)" + (m.records.last.map { " to \($0.position)" } ?? "")
        + " commit \(m.commit)" + (m.echo > 0 ? " echo" : "") + (m.asks ? " asks" : "")
    case .ack(let m):
      "ack @\(m.epoch) synced \(m.synced) end \(m.end) applied \(m.applied)" + (m.asks ? " asks" : "")
    case .refuse(let m): "refuse @\(m.epoch) behind \(m.previous), end \(m.end) committed \(m.committed), \(m.why)"
    case .base(let m): "base @\(m.epoch) from \(m.from)"
    }
  }
}
