// Every limit that outlives a process or bounds outside bytes, with its reason. What an operator may change lies in the
// node's configuration instead; these are the walls around it.

public enum Limits {
  /// SQLite's page; one size everywhere, so that versions, differences and seals need no per-account case.
  public static let pageBytes = 4096
  /// Reserved at the end of each page for its seal: key id 4, nonce 12, tag 16.
  public static let pageReservedBytes = 32
  /// 2^22 pages of 4 KiB: a database of 16 GiB. Recordings lie outside it.
  public static let databasePagesMax = 1 << 22

  /// A disk's logical block. One sector is what survives a torn write whole.
  public static let logBlockBytes = 512
  /// A commit-log file: long enough that zero-filling is rare, short enough that a restart reads it in a moment.
  public static let logFileBytesDefault = 64 << 20
  /// Sealed bytes of one record. A larger transaction continues in further records.
  public static let recordBytesMax = 4 << 20
  /// Pages in one record: its unsealed payload stays below 4 MiB.
  public static let recordPagesMax = 512
  /// Changed pages in one transaction (memory journal, overlay and versions each hold them): 256 MiB.
  public static let transactionPagesMax = 1 << 16
  /// An account's segment file is closed at this size.
  public static let segmentBytesDefault = 16 << 20

  /// Original bytes in one chunk of a recording: a range costs at most one chunk, in under a millisecond.
  public static let recordingChunkBytes = 256 << 10
  /// A sealed chunk is never longer: stored as it is when coding does not make it smaller.
  public static let sealedChunkBytesMax = recordingChunkBytes + 64
  /// A recording's largest size: 20,480 chunks of 256 KiB.
  public static let recordingBytesMax = 5 << 30
  public static let recordingKeyBytesMax = 1024
  public static let recordingMetadataBytesMax = 2048
  /// A volume file is closed at this size.
  public static let volumeBytesDefault = 256 << 20

  /// Pages in one chunk of a snapshot.
  public static let snapshotGroupPages = 16
  /// A pack of the archive is closed at this size.
  public static let packBytesDefault = 32 << 20
  /// Original bytes after which a restore makes durable what it has: one group of chunks, what a kill costs at most.
  public static let restoreGroupBytes = 64 << 20
  /// Records in one file of the archived log, after which the next begins: what a restore holds in memory of it.
  public static let archivedLogBytesDefault = 4 << 20
  /// The frames of such a file: the last record may be as long as a record can be.
  public static let archivedLogBytesMax = 12 << 20
  /// A manifest before it is unsealed: 5 million chunks of 44 bytes.
  public static let manifestBytesMax = 256 << 20

  /// A path in an export, as tar has it: a directory, "recordings/", and an escaped key.
  public static let exportPathBytesMax = 4096
  /// Recipients of one export; age files with more are refused.
  public static let exportRecipientsMax = 32

  /// One sealed entry of a keyring.
  public static let keyringEntryBytesMax = 4096
  /// Entries in one keyring.
  public static let keyringEntriesMax = 20_000_000

  /// Names of accounts: `[a-z0-9][a-z0-9-]{1,61}[a-z0-9]`, as S3 buckets.
  public static let accountNameBytes = 3...63

  public static let sqlBytesMax = 1 << 20
  public static let sqlValueBytesMax = 16 << 20
  public static let sqlVariablesMax = 32_766
  /// An idempotency key, and a reply that is kept for it.
  public static let idempotencyKeyBytesMax = 255
  public static let idempotencyReplyBytesMax = 1 << 20
  /// A statement that comes with rows of values: its text as long as any, a few more values than a table has columns, and
  /// no more rows than one turn of the writer should take.
  public static let rowBatchSQLBytesMax = 1 << 20
  public static let rowBatchColumnsMax = 2_048
  public static let rowBatchRowsMax = 65_536
}
