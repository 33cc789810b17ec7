// Starting a node: directories, lock, keys, control store, engine; then what an interrupted life left undone.

import AtRest
import Base
package import ControlStores
import Disk
import Logging
import OpenSSL
package import ShardStore
import Threads

extension NodeService {
  /// Opens everything and recovers. In tests, `backups` replaces the live ones, and `control` wraps the control store.
  package static func open(
    _ configuration: NodeConfiguration, clock: any StoreClock = SystemClock(), backups: (any AccountBackups)? = nil,
    control wrap: (@Sendable (any ControlStore) -> any ControlStore)? = nil
  ) async throws(NodeError) -> NodeService {
    let parts: Parts
    do {
      parts = try await blocking { try Self.openParts(configuration, clock, backups) }
    } catch {
      throw NodeError(describing: error)
    }
    do {
      let control = try await Self.openControl(parts, wrap ?? { $0 })
      let node: NodeService
      do { node = try NodeService(parts, control) } catch {
        await control.close()
        throw error
      }
      do {
        try await node.begin()
        return node
      } catch {
        await node.close()
        throw error
      }
    } catch {
      let engine = parts.engine
      try? await blocking { engine.close() }
      parts.lock.release()
      throw NodeError(describing: error)
    }
  }

  private func begin() async throws {
    try await adopt()
    if let cluster {
      serveAccounts(cluster)
      serveForwarded(cluster)
      serveAccountRequests(cluster)
      watchDeletions(cluster)
      try await cluster.start()
      try await adoptShards(cluster)
    }
    try await finishInterrupted()
    describeMetrics()
    startSchedule()
    startArchiving()
    if cluster == nil {
      // From its first start on a lone node knows how much time has passed.
      _ = await retentionTime()
    }
    startUpkeep()
    startOffSite()
  }

  private static func openParts(
    _ configuration: NodeConfiguration, _ clock: any StoreClock, _ replacement: (any AccountBackups)?
  ) throws -> Parts {
    let disk = RealDisk()
    let paths = configuration.paths
    for path in [paths.data, paths.archive, paths.temporary, paths.keys] { try disk.makeDurableDirectory(path) }
    let lock = try DirectoryLock(directory: paths.data)
    let isInCluster = try disk.info(ClusterMaterial.path(paths)) != nil
    if !isInCluster, configuration.control.engine == .etcd {
      throw NodeError(
        .refused,
        "[control] engine is \"etcd\", but this node belongs to no cluster yet: run `komora cluster init` on "
          + "the first node, `komora cluster join` on every other, with this configuration")
    }
    let isNew = try disk.info(controlPath(configuration)) == nil
    let accounts = paths.data + "/accounts"
    if isNew, !isInCluster, try disk.info(accounts) != nil, try !disk.list(accounts).isEmpty {
      throw NodeError(
        .io, "\(controlPath(configuration)) is missing though there are accounts: put back the file that was there")
    }
    let kek = try KeyEncryptionSource.open(
      configuration.keys, directory: paths.keys, disk: disk, creating: isNew && !isInCluster)
    let material = try ClusterMaterial.load(disk, ClusterMaterial.path(paths), kek)
    let nodeID = try Self.nodeID(disk, paths.data + "/node")
    let metrics = MetricsRegistry()
    let engine = try Engine.open(
      Self.engineConfiguration(configuration, nodeID, isReplicated: material != nil), disk: disk, kek: kek, clock: clock
    )
    let backups =
      replacement
      ?? LiveBackups(engine: engine, disk: disk, archive: paths.archive, keyEncryption: kek, clock: clock)
    return Parts(
      configuration: configuration, engine: engine, metrics: metrics, nodeID: nodeID, clock: clock,
      keyEncryption: kek, backups: backups, bootstrapTokenHash: try Self.bootstrapTokenHash(configuration, disk),
      material: material, ownCredentials: try Self.ownCredentials(configuration, material, nodeID, disk), lock: lock)
  }

  /// The operator's certificate for the fabric, where the configuration names one.
  private static func ownCredentials(
    _ configuration: NodeConfiguration, _ material: ClusterMaterial?, _ id: NodeID, _ disk: any Disk
  ) throws -> TLSCredentials? {
    let files = configuration.tls
    guard let material, let authority = files.authority, let path = files.certificate, let key = files.key else {
      return nil
    }
    func text(_ path: String) throws -> String {
      String(decoding: try disk.readAll(path, limit: 64 << 10), as: UTF8.self)
    }
    let certificate = try text(path)
    let wanted = try X509Identity(
      cluster: material.clusterName, region: configuration.region, id: id, role: .node)
    guard try X509Certificate(pem: certificate).identity == wanted else {
      throw NodeError(
        .invalid, "tls.cert \(path) is not this node's: its alternative name has to be the URI \(wanted.uri)")
    }
    return TLSCredentials(
      authorities: [try text(authority)], certificate: certificate,
      key: SecretBytes(try disk.readAll(key, limit: 64 << 10)))
  }

  static func controlPath(_ configuration: NodeConfiguration) -> String { configuration.paths.data + "/control.sqlite" }

  // MARK: control store

  private static func openControl(
    _ parts: Parts, _ wrap: @Sendable (any ControlStore) -> any ControlStore
  ) async throws -> ControlDirectory {
    guard let material = parts.material else {
      let (path, kek) = (controlPath(parts.configuration), parts.keyEncryption)
      let store = try await blocking {
        let disk = RealDisk()
        let isNew = try disk.info(path) == nil
        let embedded = try EmbeddedControlStore(path: path, kek: kek)
        if isNew { try disk.syncDirectory(parts.configuration.paths.data) }
        return try LocalControlStore(embedded)
      }
      return try await ControlDirectory.open(wrap(store)) { try? await blocking { store.close() } }
    }
    let configuration = parts.configuration
    let etcd = try await blocking { try EtcdFiles.client(material, configuration, RealDisk()) }
    let store = try EtcdControlStore(etcd, root: material.controlRoot)
    do {
      try await reach(store, within: configuration.fabric.controlWait)
      let wrapped = wrap(store)
      try await moveEmbedded(parts, to: wrapped, material)
      return try await ControlDirectory.open(wrapped) { await store.close() }
    } catch {
      await store.close()
      throw error
    }
  }

  /// Waits until etcd has a quorum: it may start later than this node does.
  private static func reach(_ store: EtcdControlStore, within limit: Duration) async throws {
    let logger = Logger(label: "control")
    let end = ContinuousClock.now + limit
    while true {
      do throws(ControlStoreError) {
        _ = try await store.entry(ClusterService.ringKey)
        return
      } catch {
        guard error.code == .unavailable || error.code == .unknown, ContinuousClock.now < end else {
          throw NodeError(
            error.code == .refused ? .refused : .unavailable,
            "the control store does not serve this node: \(error.message); look at etcd, then start the node again")
        }
        logger.notice("waiting for the control store", metadata: ["reason": "\(error.message)"])
      }
      try await Task.sleep(for: .milliseconds(250))
    }
  }

  /// What this node knew while it stood alone goes into the cluster's store, once.
  private static func moveEmbedded(_ parts: Parts, to store: any ControlStore, _ material: ClusterMaterial) async throws
  {
    let (path, kek) = (controlPath(parts.configuration), parts.keyEncryption)
    guard try await blocking({ try RealDisk().info(path) != nil }) else { return }
    let source: EmbeddedControlStore
    do {
      source = try await blocking { try EmbeddedControlStore.resumingMove(path: path, kek: kek) }
    } catch let error as ControlStoreError where error.code == .refused {
      // Moved already: the file stays as a copy of that moment and refuses to be opened.
      return
    }
    let migration = ControlStoreMigration(from: source, to: store, named: "the cluster \(material.clusterName)")
    do {
      let report = try await migration.run()
      Logger(label: "control").notice("control store moved", metadata: ["entries": "\(report.entries)"])
    } catch {
      try? await blocking { source.close() }
      throw error
    }
    try await blocking { source.close() }
  }

  /// Accounts that were made before this store knew of nodes belong to the node that has their shards.
  private func adopt() async throws(NodeError) {
    let held = Set(engine.accounts())
    let own = nodeID
    let orphans = control.view.with { view in
      view.accounts.values.map(\.record).filter { $0.primary == nil && (held.contains($0.id) || cluster == nil) }
    }
    for orphan in orphans {
      try await control.change { view throws(NodeError) in
        guard let account = view[orphan.id], account.record.primary == nil else {
          return PlannedChange(changes: [], value: ())
        }
        var record = account.record
        record.primary = own
        let key = ControlKeys.account(orphan.id)
        return PlannedChange(
          conditions: [ControlCondition(key, at: account.revision)],
          changes: [.put(key, try ControlKeys.encode(StoredAccount(record)))], value: ())
      }
    }
  }

  static func engineConfiguration(
    _ configuration: NodeConfiguration, _ id: NodeID, isReplicated: Bool
  ) -> EngineConfiguration {
    var engine = EngineConfiguration(
      accountsDirectory: configuration.paths.data + "/accounts", logDirectory: configuration.paths.data + "/log",
      temporaryDirectory: configuration.paths.temporary + "/engine", node: id)
    engine.openShardsMax = configuration.limits.openAccountsCount
    engine.writerThreads = configuration.limits.writersCount
    engine.readerThreads = configuration.limits.writersCount
    engine.temporaryBytesPerShard = UInt64(configuration.limits.temporaryBytes)
    engine.isReplicated = isReplicated
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

  /// Accounts that were being made are taken away; deletions, and restores of which something is durable, go on.
  private func finishInterrupted() async throws(NodeError) {
    let records = control.view.with { $0.accounts.values.map(\.record) }
    for record in records where record.primary == nodeID {
      switch record.state {
      case .restoring where await continueRestore(of: record): break
      case .creating, .restoring:
        // What was never finished may have no shard.
        try await forget(record.id)
        try? await engine.removeAccount(record.id)
      case .deleting: try await finishDeletion(record.id)
      case .active, .deleted: break
      }
    }
    await dropUnknownRestores()
  }

  private func describeMetrics() {
    metrics.describe("komora_snapshots_total", "Snapshots that ended, by outcome")
    metrics.describe("komora_snapshot_seconds", "How long snapshots took")
    metrics.describe("komora_log_archives_total", "Rounds in which the log of one account was archived, by outcome")
    metrics.describe("komora_restores_total", "Restores that ended, by outcome")
    metrics.describe("komora_accounts", "Accounts by state")
    metrics.describe("komora_forwarded_requests_total", "Requests that this node passed on to another, by outcome")
    metrics.describe("komora_forward_seconds", "How long a request that was passed on took to its reply's head")
    metrics.describe("komora_held_requests_total", "Requests that waited until somebody led their account, by outcome")
    metrics.describe("komora_standby_reads_total", "Reads that this node answered as a standby")
    metrics.describe("komora_archive_expiry_failures_total", "Archives of deleted accounts that could not be removed")
    metrics.describe("komora_archive_expired_snapshots_total", "Snapshots that were let go behind the retention")
    metrics.describe("komora_archive_freed_bytes_total", "Bytes of archives' files that were let go")
    metrics.describe("komora_offsite_copies_total", "Rounds in which an archive was copied off site, by outcome")
    metrics.describe("komora_offsite_bytes_total", "Bytes of archives' files that were copied off site")
    metrics.describe("komora_archive_joined_runs_total", "Runs of archived logs that became parts of longer ones")
    metrics.describe(
      "komora_archive_upkeep_failures_total", "Rounds in which nothing was let go, since what stays is not whole")
  }

  /// The text of `/metrics`, with figures that are looked up when asked.
  package func metricsText(openMetrics: Bool = false) -> String {
    let states = control.view.with { $0.accounts.values.map(\.record.state) }
    for state in [AccountState.active, .creating, .restoring, .deleting, .deleted] {
      let count = states.count { $0 == state }
      metrics.gauge("komora_accounts", [("state", state.rawValue)]).set(Double(count))
    }
    return metrics.render(openMetrics: openMetrics)
  }
}
