// What a restore would do, found out without writing anything.

public import Base
import Formats

public struct RestorePlan: Sendable, Equatable {
  public var snapshot: SnapshotID
  public var account: AccountID
  public var createdAt: UnixMicroseconds
  public var position: Position
  public var databaseBytes: UInt64
  public var recordings: Int
  public var recordingBytes: UInt64
  /// Recordings whose keys were destroyed since: they do not come back.
  public var erased: Int
  /// Chunks that no pack of the archive holds. A restore refuses unless it is 0.
  public var missingChunks: Int
  /// Nil for the snapshot's own position.
  public var moment: MomentPlan?

  public var bytes: UInt64 { databaseBytes + recordingBytes }
}

extension RestorePlan {
  init(_ reader: SnapshotReader) {
    let header = reader.manifest.header
    snapshot = header.snapshot
    account = header.account
    createdAt = header.createdAt
    position = header.position
    databaseBytes = UInt64(header.databasePages) * UInt64(Limits.pageBytes)
    recordings = 0
    recordingBytes = 0
    erased = 0
    missingChunks = reader.manifest.body.groups.reduce(0) { $0 + (reader.index.contains($1) ? 0 : 1) }
    for recording in reader.manifest.body.recordings {
      guard reader.recordings.hasKey(recording.id) else {
        erased += 1
        continue
      }
      recordings += 1
      recordingBytes += recording.bytes
      for number in 0..<recording.chunks where !reader.index.contains(reader.keys.name(of: recording.id, chunk: number))
      {
        missingChunks += 1
      }
    }
  }
}
