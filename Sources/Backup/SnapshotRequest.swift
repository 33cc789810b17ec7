// What a snapshot to be taken is called.

package import Base
package import Formats

package struct SnapshotRequest: Sendable {
  package var id: SnapshotID
  package var kind: SnapshotKind
  package var createdAt: UnixMicroseconds
  package var cancel: CancelFlag
  /// Hears fractions from 0 to 1.
  package var progress: @Sendable (Double) -> Void

  package init(
    id: SnapshotID, kind: SnapshotKind, createdAt: UnixMicroseconds, cancel: CancelFlag = CancelFlag(),
    progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) {
    self.id = id
    self.kind = kind
    self.createdAt = createdAt
    self.cancel = cancel
    self.progress = progress
  }
}
