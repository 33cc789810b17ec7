// The threads on which backups read, hash, compress, seal and write. Few and nice: they take what commits and calls leave
// of the processor, which is all of it at night. They live as long as the process.

import Threads

enum BackupWork {
  static let priority = ThreadPriority.nice(10)
  private static let pool = WorkPool(name: "backup", threads: 2, priority: priority)

  /// Without waiting for it.
  static func run(_ body: @escaping @Sendable () -> Void) { pool.run(body) }

  static func perform<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await pool.perform(body)
  }

  /// Runs `body` for each number below `count`, once, on `threads` threads of its own, which begin with the small ones, and
  /// returns when all have ended. The first error is thrown; no number is begun after it. Blocks.
  static func forEach(
    _ count: Int, threads: Int = 2, priority: ThreadPriority = priority,
    _ body: @escaping @Sendable (Int) throws -> Void
  ) throws {
    let state = Lock((next: 0, failure: (any Error)?.none))
    let started = (0..<min(threads, count)).map { number in
      Thread(name: "backup-part-\(number)", priority: priority) {
        while let number = state.with({ s -> Int? in
          guard s.next < count, s.failure == nil else { return nil }
          defer { s.next += 1 }
          return s.next
        }) {
          do { try body(number) } catch { state.with { if $0.failure == nil { $0.failure = error } } }
        }
      }
    }
    for thread in started { thread.join() }
    if let failure = state.with({ $0.failure }) { throw failure }
  }
}
