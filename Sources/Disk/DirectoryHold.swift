// An advisory hold on a directory: readers of many files hold it shared, whoever removes some of them holds it alone.
//
// flock(2) on the directory itself, so that nothing is written where archives are read-only, and so that it also holds
// between processes. The kernel lets go when the process dies, however it dies.

internal import Glibc

public enum HoldMode: Sendable {
  /// Beside others that hold it shared; waits for one that holds it alone.
  case shared
  /// Nobody else; never waits.
  case alone
}

/// Held for as long as the object lives.
public protocol DirectoryHold: AnyObject, Sendable {}

/// Of a disk that belongs to one process and one owner at a time, where there is nobody to keep out.
private final class FreeHold: DirectoryHold {}

extension Disk {
  public func hold(_ directory: String, _ mode: HoldMode) throws(DiskError) -> (any DirectoryHold)? { FreeHold() }
}

extension RealDisk {
  /// Nil when `mode` is `.alone` and somebody holds it. A file system without locks gives a shared hold that keeps nobody
  /// out, and refuses the other.
  public func hold(_ directory: String, _ mode: HoldMode) throws(DiskError) -> (any DirectoryHold)? {
    let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
    let descriptor = try Self.call("hold", directory) { Glibc.open(directory, flags) }
    let held = HeldDirectory(descriptor)
    let operation = mode == .shared ? LOCK_SH : LOCK_EX | LOCK_NB
    do throws(DiskError) {
      try Self.call("hold", directory) { flock(descriptor, operation) }
    } catch {
      switch (error.code, mode) {
      case (.other(EWOULDBLOCK), .alone): return nil
      case (.other(ENOTSUP), .shared), (.other(ENOLCK), .shared), (.other(ENOSYS), .shared): return FreeHold()
      default: throw error
      }
    }
    return held
  }
}

private final class HeldDirectory: DirectoryHold {
  private let descriptor: Int32
  init(_ descriptor: Int32) { self.descriptor = descriptor }
  deinit { close(descriptor) }
}
