// One process per data directory: flock(2) on a file in it. The kernel lets go when the process dies, however it dies.

import Glibc
import Threads

final class DirectoryLock: Sendable {
  private let descriptor: Lock<Int32?>

  /// Refused when another process holds it.
  init(directory: String) throws(NodeError) {
    let path = directory + "/lock"
    let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else {
      throw NodeError(.io, "cannot open \(path): \(String(cString: strerror(errno)))")
    }
    guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
      Glibc.close(file)
      throw NodeError(.unavailable, "another node uses \(directory): stop it first, or choose another directory")
    }
    descriptor = Lock(file)
  }

  func release() {
    descriptor.with { file in
      if let file { Glibc.close(file) }
      file = nil
    }
  }

  deinit { release() }
}
