// An account on a live engine, snapshots of it, and merges from them.

import AtRest
import Backup
import Base
import Disk
import Formats
import OpenSSL
import SQLite
import ShardStore
import Simulator
import Testing

struct MergeWorld: Sendable {
  static let account = AccountID(bits: 0xA)
  let store: TestStore

  init(
    _ disk: any Disk = ForgetfulDisk(seed: 1), making: Bool = true,
    _ change: (inout EngineConfiguration) -> Void = { _ in }
  ) async throws {
    store = try TestStore.open(disk, logFileBytes: 256 << 10, change)
    if making { try await store.engine.createAccount(Self.account) }
  }

  var merge: AccountMerge {
    AccountMerge(
      disk: store.disk, layout: store.archive(Self.account).layout, unlockedBy: .keyEncryption(store.kek))
  }

  func close() { store.engine.close() }

  @discardableResult
  func sql(_ script: String...) async throws -> [[Value]] {
    try await store.engine.write(Self.account) { connection in
      var rows: [[Value]] = []
      for sql in script { rows = try connection.query(sql) }
      return rows
    }.value
  }

  func rows(_ sql: String) async throws -> [[Value]] {
    try await store.engine.read(Self.account) { try $0.query(sql) }.value
  }

  func snapshot() async throws -> SnapshotID {
    try await store.archive(Self.account).createSnapshot(of: store.engine, kind: .manual).id
  }

  func request(
    _ snapshot: SnapshotID, _ only: String..., policy: MergePolicy = .refuse, dryRun: Bool = false
  ) throws -> MergeRequest {
    var random = SystemRandomNumberGenerator()
    let id = MergeID(random.next()) << 64 | MergeID(random.next())
    return MergeRequest(
      id: id, from: .snapshot(snapshot), selection: try RowSelection(only), policy: policy, dryRun: dryRun)
  }

  func run(_ request: MergeRequest) async throws -> MergeReport {
    try await merge.run(request, in: store.engine)
  }

  func undo(_ report: MergeReport, _ policy: MergePolicy = .refuse) async throws -> MergeReport {
    try await merge.undo(MergeUndoRequest(merge: report.merge, policy: policy), in: store.engine)
  }

  /// Why nothing was changed.
  func refused(_ body: () async throws -> MergeReport) async throws -> MergeReport {
    do {
      _ = try await body()
    } catch let refused as MergeRefused { return refused.report }
    throw BackupError(.failed, "it was not refused")
  }

  /// Every row of the tenant's tables, and of the recordings what a person sees and the hash of their bytes.
  func content() async throws -> [String] {
    let system = ["komora_merge", "komora_deleted", "komora_requests", "komora_recordings"]
    let rows = try await store.fingerprint(Self.account).filter { line in !system.contains { line.hasPrefix($0) } }
    return try await rows + self.rows("SELECT * FROM komora_objects ORDER BY key").map { "\($0)" }
  }
}

/// `body` fails with a `BackupError` of this code.
func expectError<T>(_ code: BackupError.Code, _ body: () async throws -> T) async {
  do {
    _ = try await body()
    Issue.record("it should fail with \(code)")
  } catch { #expect((error as? BackupError)?.code == code, "\(error)") }
}
