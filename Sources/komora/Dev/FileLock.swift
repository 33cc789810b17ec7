// flock(2) on a file: one `komora dev` per directory. The kernel lets go when the process ends.

import Glibc

final class FileLock: Sendable {
  private let descriptor: Int32

  /// Nil when another process holds it.
  init?(_ path: String) throws(CommandFailure) {
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw CommandFailure(.failed, "cannot open \(path): \(String(cString: strerror(errno)))")
    }
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      close(descriptor)
      return nil
    }
  }

  deinit { close(descriptor) }
}
