// Starting a node: directories, lock, keys, control store, engine; then what an interrupted life left undone.

import AtRest
import Base
import ControlStores
import Disk
import OpenSSL
package import ShardStore
import Threads

extension NodeService {
  /// Opens everything and recovers. `backups` replaces the live ones in tests.
  package static func open(
    _ configuration: NodeConfiguration, clock: any StoreClock = SystemClock(), backups: (any AccountBackups)? = nil
  ) async throws(NodeError) -> NodeService {
    let control = WorkPool(name: "control", threads: 1)
    let parts: Parts
    do {
      parts = try await control.perform { try Self.openParts(configuration, clock, control, backups) }
    } catch {
      await control.finish {}
      throw NodeError(describing: error)
    }
    let node = NodeService(parts)
    try await node.finishInterrupted()
    node.describeMetrics()
    node.startSchedule()
    return node
  }

  private static func openParts(
    _ configuration: NodeConfiguration, _ clock: any StoreClock, _ control: WorkPool,
    _ replacement: (any AccountBackups)?
  ) throws -> Parts {
    let disk = RealDisk()
    let paths = configuration.paths
    for path in [paths.data, paths.archive, paths.temporary, paths.keys] { try disk.makeDurableDirectory(path) }
    let lock = try DirectoryLock(directory: paths.data)
    let controlPath = paths.data + "/control.sqlite"
    let isNew = try disk.info(controlPath) == nil
    let accounts = paths.data + "/accounts"
    if isNew, try disk.info(accounts) != nil, try !disk.list(accounts).isEmpty {
      throw NodeError(.io, "\(controlPath) is missing though there are accounts: put back the file that was there")
    }
    let kek = try KeyEncryptionSource.open(configuration.keys, directory: paths.keys, disk: disk, creating: isNew)
    let store = try EmbeddedControlStore(path: controlPath, kek: kek)
    if isNew { try disk.syncDirectory(paths.data) }
    let nodeID = try Self.nodeID(disk, paths.data + "/node")
    let metrics = MetricsRegistry()
    let engine = try Engine.open(
      Self.engineConfiguration(configuration, nodeID), disk: disk, kek: kek, clock: clock)
    let backups =
      replacement
      ?? LiveBackups(engine: engine, disk: disk, archive: paths.archive, keyEncryption: kek)
    return Parts(
      configuration: configuration, engine: engine, metrics: metrics, nodeID: nodeID, clock: clock,
      keyEncryption: kek, store: store, backups: backups, directory: try Self.load(store),
      bootstrapTokenHash: try Self.bootstrapTokenHash(configuration, disk), control: control, lock: lock)
  }

  static func engineConfiguration(_ configuration: NodeConfiguration, _ id: NodeID) -> EngineConfiguration {
    var engine = EngineConfiguration(
      accountsDirectory: configuration.paths.data + "/accounts", logDirectory: configuration.paths.data + "/log",
      temporaryDirectory: configuration.paths.temporary + "/engine", node: id)
    engine.openShardsMax = configuration.limits.openAccountsCount
    engine.writerThreads = configuration.limits.writersCount
    engine.readerThreads = configuration.limits.writersCount
    engine.temporaryBytesPerShard = UInt64(configuration.limits.temporaryBytes)
    engine.sessionLockHold = configuration.timers.transactionTimeout
    return engine
  }

  /// 16 bytes, hexadecimal, and a line feed; drawn once.
  static func nodeID(_ disk: any Disk, _ path: String) throws -> NodeID {
    if try disk.info(path) != nil {
      let text = String(decoding: try disk.readAll(path, limit: 64), as: UTF8.self)
      guard let id = NodeID(String(text.prefix { !$0.isNewline })) else {
        throw NodeError(.io, "\(path) does not hold a node's id: put back the file that was there")
      }
      return id
    }
    var random = SystemRandom()
    let id = NodeID(from: &random)
    try disk.replaceFile(path, Array("\(id)\n".utf8))
    return id
  }

  private static func bootstrapTokenHash(_ configuration: NodeConfiguration, _ disk: any Disk) throws -> [UInt8]? {
    guard let path = configuration.adminTokenFile, try disk.info(path) != nil else { return nil }
    let text = String(decoding: try disk.readAll(path, limit: 4096), as: UTF8.self)
    guard let hash = Token.hash(String(text.prefix { !$0.isWhitespace })) else {
      throw NodeError(.invalid, "\(path) does not begin with a token (kt_…)")
    }
    return hash
  }

  private static func load(_ store: EmbeddedControlStore) throws -> AccountDirectory {
    var directory = AccountDirectory()
    for entry in try store.range(prefix: ControlKeys.accounts) {
      let stored: StoredAccount = try ControlKeys.decode(entry)
      let id = AccountID(String(entry.key.dropFirst(ControlKeys.accounts.count)))
      guard let id else { throw NodeError(.io, "the control store has an account without an id") }
      directory.put(stored.record(id: id), revision: entry.revision)
    }
    for entry in try store.range(prefix: ControlKeys.keys) {
      let stored: StoredKey = try ControlKeys.decode(entry)
      guard let account = AccountID(stored.account), let hash = [UInt8](hex: stored.tokenHash) else {
        throw NodeError(.io, "the control store has a key of no account")
      }
      let record = KeyRecord(
        id: String(entry.key.dropFirst(ControlKeys.keys.count)), account: account, label: stored.label,
        createdAt: stored.createdAt)
      directory.credentials.add(
        .init(record: record, secret: SecretBytes(Array(stored.secretKey.utf8)), tokenHash: hash))
    }
    for entry in try store.range(prefix: ControlKeys.admins) {
      let stored: StoredAdminToken = try ControlKeys.decode(entry)
      let record = AdminTokenRecord(
        id: String(entry.key.dropFirst(ControlKeys.admins.count)), name: stored.name, scopes: Set(stored.scopes),
        createdAt: stored.createdAt, expiresAt: stored.expiresAt)
      directory.credentials.add(.init(record: record, tokenHash: [UInt8](hex: stored.tokenHash) ?? []))
    }
    return directory
  }

  /// Accounts that were being made are taken away, deletions go on.
  private func finishInterrupted() async throws(NodeError) {
    let records = directory.with { $0.accounts.values.map(\.record) }
    for record in records {
      switch record.state {
      case .creating, .restoring:
        // What was never finished may have no shard.
        try? await engine.removeAccount(record.id)
        try await forget(record.id)
      case .deleting: try await finishDeletion(record.id)
      case .active, .deleted: break
      }
    }
  }

  private func describeMetrics() {
    metrics.describe("komora_snapshots_total", "Snapshots that ended, by outcome")
    metrics.describe("komora_snapshot_seconds", "How long snapshots took")
    metrics.describe("komora_restores_total", "Restores that ended, by outcome")
    metrics.describe("komora_accounts", "Accounts by state")
    metrics.describe("komora_archive_expiry_failures_total", "Archives of deleted accounts that could not be removed")
  }

  /// The text of `/metrics`, with figures that are looked up when asked.
  package func metricsText(openMetrics: Bool = false) -> String {
    let states = directory.with { $0.accounts.values.map(\.record.state) }
    for state in [AccountState.active, .creating, .restoring, .deleting, .deleted] {
      let count = states.count { $0 == state }
      metrics.gauge("komora_accounts", [("state", state.rawValue)]).set(Double(count))
    }
    return metrics.render(openMetrics: openMetrics)
  }
}
