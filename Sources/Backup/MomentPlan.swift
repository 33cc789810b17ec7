// What a restore to a moment would do, found out without writing anything.

public import Base
import Formats

public struct MomentPlan: Sendable, Equatable {
  /// What was asked for.
  public var wanted: UnixMicroseconds
  /// Where it begins.
  public var snapshot: SnapshotID
  public var snapshotPosition: Position
  /// The last whole transaction that counts, and its time.
  public var end: Position
  public var time: UnixMicroseconds
  /// Behind the snapshot's position, up to the end.
  public var records: Int
  public var logBytes: UInt64
  public var logFiles: Int
  /// Of the database at the end.
  public var databasePages: Int
  /// The archive does not know whether anything followed before the moment that was asked for.
  public var isClamped: Bool
}
