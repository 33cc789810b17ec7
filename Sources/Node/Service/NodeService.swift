// The node: owner of the engine, the control store, the keys, the credentials, the jobs and the nightly snapshots.
//
// Surfaces call it and hold nothing themselves. What it knows about accounts and credentials lies, sealed, in the
// control store, and in memory as a view that follows the store. Work that blocks on disks runs on threads of its own,
// never on the cooperative pool.

import AtRest
package import Base
import ControlStores
import Disk
import OpenSSL
package import ShardStore
import Threads

package final class NodeService: Sendable {
  package let configuration: NodeConfiguration
  package let engine: Engine
  package let metrics: MetricsRegistry
  /// Drawn when the data directory was made.
  package let nodeID: NodeID
  let clock: any StoreClock
  let keyEncryption: any KeyEncryption
  let backups: any AccountBackups
  let jobs: JobRegistry
  let bootstrapTokenHash: [UInt8]?
  let control: ControlDirectory
  /// Nil for a node that stands alone.
  let cluster: ClusterService?
  let forwarding: Forwarding
  let lock: DirectoryLock
  let scheduler: Lock<Task<Void, Never>?>
  let archiving = LogArchiving()
  let upkeep = ArchiveKeeping()
  /// Nil where no off-site storage is configured.
  let offSite: OffSiteCopying?
  let retention: RetentionTime
  let leaving = Lock(Leaving())

  struct Parts {
    var configuration: NodeConfiguration
    var engine: Engine
    var metrics: MetricsRegistry
    var nodeID: NodeID
    var clock: any StoreClock
    var keyEncryption: any KeyEncryption
    var backups: any AccountBackups
    var bootstrapTokenHash: [UInt8]?
    var material: ClusterMaterial?
    var ownCredentials: TLSCredentials?
    var lock: DirectoryLock
  }

  init(_ parts: Parts, _ control: ControlDirectory) throws {
    configuration = parts.configuration
    engine = parts.engine
    metrics = parts.metrics
    nodeID = parts.nodeID
    clock = parts.clock
    keyEncryption = parts.keyEncryption
    backups = parts.backups
    bootstrapTokenHash = parts.bootstrapTokenHash
    self.control = control
    forwarding = Forwarding(RecordRouting(control: control, node: parts.nodeID))
    let (engine, path, kek) = (parts.engine, ClusterMaterial.path(parts.configuration.paths), parts.keyEncryption)
    let accountsMax = parts.configuration.limits.openAccountsCount
    cluster = try parts.material.map { material in
      try ClusterService(
        ClusterService.Parts(
          configuration: parts.configuration, material: material, nodeID: parts.nodeID, control: control,
          metrics: parts.metrics, clock: parts.clock, engine: parts.engine, ownCredentials: parts.ownCredentials,
          save: { try $0.store(RealDisk(), path, kek) },
          loadPermille: { min(engine.accounts().count * 1000 / max(accountsMax, 1), 1000) }))
    }
    if let cluster { forwarding.routing.with { $0 = cluster.shards } }
    offSite = parts.configuration.offSite.map { OffSiteCopying($0) }
    lock = parts.lock
    retention = RetentionTime(
      disk: RealDisk(), path: parts.configuration.paths.data + "/retention-time", clock: parts.clock)
    jobs = JobRegistry(
      parallel: configuration.limits.jobsCount, history: configuration.timers.jobHistory, clock: clock)
    scheduler = Lock(nil)
  }

  /// Microseconds since 1970, on the node's clock.
  package var now: UnixMicroseconds { clock.now }

  /// Ends jobs and schedules, then the engine, then the control store. Called once. Without a goodbye the cluster has to
  /// find out by itself, as after a crash.
  package func close(saysGoodbye: Bool = true) async {
    let running = scheduler.with { task in
      defer { task = nil }
      return task
    }
    running?.cancel()
    await running?.value
    await stopArchiving()
    await stopUpkeep()
    await stopOffSite()
    await jobs.close()
    await cluster?.close(saysGoodbye: saysGoodbye, handsOver: !leaving.with { $0.endsWithOthers })
    let engine = engine
    try? await blocking { engine.close() }
    await control.close()
    lock.release()
  }

  func randomID<ID: OpaqueID>(_: ID.Type = ID.self) -> ID {
    var random = SystemRandom()
    return ID(from: &random)
  }
}
