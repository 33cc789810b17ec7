// One snapshot of a list: what the clear header of its manifest says, and whether a proof lies beside it.

public import Base
public import Formats

public struct SnapshotInfo: Sendable, Equatable {
  public var id: SnapshotID
  public var account: AccountID
  public var createdAt: UnixMicroseconds
  public var kind: SnapshotKind
  public var position: Position
  public var state: SnapshotState
  /// Original bytes: database and recordings.
  public var bytes: UInt64
  public var databaseBytes: UInt64
  public var recordings: Int
  /// Bytes that it added to the archive.
  public var addedBytes: UInt64
  /// Ed25519; whose snapshots these are, as far as the file says.
  public var publicKey: [UInt8]
  /// Its manifest's file.
  public var path: String

  init(header: ManifestHeader, state: SnapshotState, path: String) {
    id = header.snapshot
    account = header.account
    createdAt = header.createdAt
    kind = header.kind
    position = header.position
    databaseBytes = UInt64(header.databasePages) * UInt64(Limits.pageBytes)
    bytes = databaseBytes &+ header.recordingBytes
    recordings = header.recordings
    addedBytes = header.addedBytes
    publicKey = header.publicKey
    self.state = state
    self.path = path
  }
}

/// The snapshots of an archive by position, the oldest first.
public struct SnapshotList: Sendable {
  public var snapshots: [SnapshotInfo]
  /// Manifests that cannot be read.
  public var damaged: [BackupError]
}
