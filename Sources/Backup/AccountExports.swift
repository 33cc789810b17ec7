// Exports of one account, as the node uses them: made on threads of their own, since one may take hours, and listed.

package import Base
package import Disk
package import ShardStore
import Threads

package struct AccountExports: Sendable {
  static let parallel = 2
  /// Not those of backups: a long export must not keep a snapshot waiting. But as nice: commits and calls come first.
  private static let pool = WorkPool(name: "export", threads: parallel, priority: BackupWork.priority)
  private let disk: any Disk
  package let store: ExportStore

  package init(disk: any Disk, layout: ArchiveLayout) {
    self.disk = disk
    store = ExportStore(disk: disk, layout: layout)
  }

  /// Exports the account as it is now. `CancellationError` when the order says that it is cancelled; whatever is
  /// thrown, nothing is left.
  package func create(_ order: ExportOrder, of engine: Engine) async throws -> ExportInfo {
    try order.check()
    let source: PinnedSource
    do { source = try await PinnedSource.pin(engine, store.layout.account) } catch { throw BackupError(anyOf: error) }
    let writer = ExportWriter(disk: disk, layout: store.layout, source: source, order: order)
    return try await Self.pool.perform {
      do { return try writer.run() } catch let error as CancellationError { throw error } catch {
        throw BackupError(anyOf: error)
      }
    }
  }

  package func list() async throws -> [ExportInfo] {
    let store = store
    return try await BackupWork.perform { try store.list() }
  }

  package func remove(_ id: ExportID) async throws -> Bool {
    let store = store
    return try await BackupWork.perform { try store.remove(id) }
  }

  package func removeUnfinished(except isRunning: @escaping @Sendable (ExportID) -> Bool) async throws {
    let store = store
    try await BackupWork.perform { try store.removeUnfinished(except: isRunning) }
  }
}
