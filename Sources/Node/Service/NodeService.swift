// The node: owner of the engine, the control store, the keys, the credentials, the jobs and the nightly snapshots.
//
// Surfaces call it and hold nothing themselves. What it knows about accounts and credentials lies in memory and,
// sealed, in the control store; a change is made on one thread: read, transaction, then memory. Work that blocks on
// disks runs on threads of its own, never on the cooperative pool.

import AtRest
package import Base
import ControlStores
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
  let store: EmbeddedControlStore
  let backups: any AccountBackups
  let jobs: JobRegistry
  let directory: Lock<AccountDirectory>
  let bootstrapTokenHash: [UInt8]?
  /// One thread: the order of changes to the control store.
  let control: WorkPool
  let lock: DirectoryLock
  let scheduler: Lock<Task<Void, Never>?>

  struct Parts {
    var configuration: NodeConfiguration
    var engine: Engine
    var metrics: MetricsRegistry
    var nodeID: NodeID
    var clock: any StoreClock
    var keyEncryption: any KeyEncryption
    var store: EmbeddedControlStore
    var backups: any AccountBackups
    var directory: AccountDirectory
    var bootstrapTokenHash: [UInt8]?
    var control: WorkPool
    var lock: DirectoryLock
  }

  init(_ parts: Parts) {
    configuration = parts.configuration
    engine = parts.engine
    metrics = parts.metrics
    nodeID = parts.nodeID
    clock = parts.clock
    keyEncryption = parts.keyEncryption
    store = parts.store
    backups = parts.backups
    directory = Lock(parts.directory)
    bootstrapTokenHash = parts.bootstrapTokenHash
    control = parts.control
    lock = parts.lock
    jobs = JobRegistry(
      parallel: configuration.limits.jobsCount, history: configuration.timers.jobHistory, clock: clock)
    scheduler = Lock(nil)
  }

  /// Microseconds since 1970, on the node's clock.
  package var now: UnixMicroseconds { clock.now }

  /// Ends jobs and schedules, then the engine, then the control store. Called once.
  package func close() async {
    let running = scheduler.with { task in
      defer { task = nil }
      return task
    }
    running?.cancel()
    await running?.value
    await jobs.close()
    let engine = engine
    let store = store
    await control.finish {
      engine.close()
      store.close()
    }
    lock.release()
  }

  /// Runs `body` on the thread that changes the control store.
  func change<T: Sendable>(_ body: @escaping @Sendable () throws(NodeError) -> T) async throws(NodeError) -> T {
    do {
      return try await control.perform(body)
    } catch let error as NodeError {
      throw error
    } catch {
      throw NodeError(.unavailable, "the node is stopping: try again in a moment")
    }
  }

  /// Makes `changes` if `conditions` hold; the store has only one writer, so a failed condition is damage.
  func commit(_ changes: [ControlChange], if conditions: [ControlCondition] = []) throws(NodeError) -> Int64 {
    do throws(ControlStoreError) {
      let outcome = try store.transaction(if: conditions, then: changes)
      guard outcome.succeeded else {
        throw ControlStoreError(.damaged, "the control store was changed by somebody else: restart the node")
      }
      return outcome.revision
    } catch {
      throw NodeError(error)
    }
  }

  func randomID<ID: OpaqueID>(_: ID.Type = ID.self) -> ID {
    var random = SystemRandom()
    return ID(from: &random)
  }
}

extension WorkPool {
  /// Runs a last job and then ends the threads, off the cooperative pool.
  func finish(_ last: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      _ = Thread(name: "stop") {
        self.run(last)
        self.stop()
        continuation.resume()
      }
    }
  }
}
