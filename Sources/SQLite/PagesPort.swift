// The port that the pages VFS stands on: one host per shard, one session per open database handle, and temporary files.
//
// SQLite sees an ordinary rollback-mode database. What it calls the file is really a set of page versions; what it calls
// the sync at COMMIT is the gate. All calls of one session come from the thread that uses its connection.

package enum PageLockResult: Sendable { case ok, busy, snapshotTooOld, readOnly, gone }
package enum PageReadResult: Sendable { case ok, beyondEnd, damaged, failed }
package enum PageWriteResult: Sendable { case ok, tooLarge, failed }
package enum PageCommitResult: Sendable { case ok, refused, full }

/// A shard, as the VFS sees it.
package protocol PageHost: AnyObject, Sendable {
  /// A session for one connection; nil when the shard is closed.
  func openSession(readOnly: Bool) -> (any PageSession)?
  /// A file for a sorter, a TEMP table or VACUUM; nil when it cannot be made.
  func openTemporary() -> (any TemporaryStorage)?
}

/// What one connection sees of the pages.
package protocol PageSession: AnyObject {
  /// Pins what the session reads: the last published index, or the head for the writer's own session.
  func lockShared() -> PageLockResult
  /// Takes the single right to write. `snapshotTooOld` when the pin is no longer the head.
  func reserve() -> PageLockResult
  /// Gives the right to write back and forgets what was not committed; keeps the pin.
  func unlockToShared()
  /// As `unlockToShared`, and gives up the pin.
  func unlock()
  /// Somebody holds the right to write.
  var isReserved: Bool { get }
  /// Pages that the session sees.
  var pageCount: UInt32 { get }
  /// Fills `bytes` from byte `offset` of page `number`.
  func read(page number: UInt32, at offset: Int, into bytes: inout MutableRawSpan) -> PageReadResult
  /// Keeps a whole page in the session's private overlay.
  func write(page number: UInt32, _ bytes: RawSpan) -> PageWriteResult
  func truncate(pages: UInt32)
  /// The gate: makes a record of what differs and installs it as pending versions at the next index.
  func commit() -> PageCommitResult
  func close()
}

/// Bytes that live as long as the handle and are never readable to anybody else.
package protocol TemporaryStorage: AnyObject {
  var byteCount: UInt64 { get }
  /// False when it cannot be read back.
  func read(at offset: UInt64, into bytes: inout MutableRawSpan) -> Bool
  /// False when a quota or the disk is full.
  func write(_ bytes: RawSpan, at offset: UInt64) -> Bool
  func truncate(to bytes: UInt64)
  func close()
}
