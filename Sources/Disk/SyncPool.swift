// Syncs several files at once: a device serves parallel flushes together, one after the other they would add up.

internal import Threads

public final class SyncPool: Sendable {
  private struct Results {
    var errors: [DiskError?]
    var waiting: Int
  }

  private let pool: WorkPool

  public init(threads: Int = 4) {
    pool = WorkPool(name: "sync", threads: threads)
  }

  /// Blocks until every sync has returned; the errors stand in the order of `files`. The caller's own thread takes the
  /// last file, so that a single one costs no hand-over.
  public func sync(_ files: [any DiskFile]) -> [DiskError?] {
    guard let last = files.last else { return [] }
    let results = Lock(Results(errors: Array(repeating: nil, count: files.count), waiting: files.count - 1))
    for (i, file) in files.dropLast().enumerated() {
      let job: WorkPool.Job = {
        let error = Self.attempt(file)
        results.with {
          $0.errors[i] = error
          $0.waiting -= 1
        }
        results.wake()
      }
      if !pool.run(job) { job() }
    }
    let error = Self.attempt(last)
    return results.wait(until: { $0.waiting == 0 }) {
      $0.errors[files.count - 1] = error
      return $0.errors
    }
  }

  /// Ends the threads. Later syncs still work, on the caller's thread.
  public func stop() { pool.stop() }

  private static func attempt(_ file: any DiskFile) -> DiskError? {
    do throws(DiskError) {
      try file.sync()
      return nil
    } catch {
      return error
    }
  }
}
