// The threads on which backups read, hash, compress, seal and write. Few and nice: they take what commits and calls leave
// of the processor, which is all of it at night. They live as long as the process.

import Threads

enum BackupWork {
  private static let pool = WorkPool(name: "backup", threads: 2, niceness: 10)

  /// Without waiting for it.
  static func run(_ body: @escaping @Sendable () -> Void) { pool.run(body) }

  static func perform<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws -> T {
    try await pool.perform(body)
  }
}
