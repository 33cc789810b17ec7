// Why a snapshot was made and how far it is trusted.

public enum SnapshotKind: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  /// Somebody asked for it.
  case manual = 1
  /// The account's daily backup.
  case daily = 2

  public var description: String {
    switch self {
    case .manual: "manual"
    case .daily: "daily"
    }
  }
}

public enum SnapshotState: String, Sendable, CaseIterable {
  /// Written, synced and its manifest read back.
  case stored
  /// Restored whole and compared since.
  case proven
}
