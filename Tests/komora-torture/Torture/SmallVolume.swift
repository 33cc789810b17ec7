// A file system of a few mebibytes, mounted for one test; most of it is taken by a ballast that can be removed.

import Disk
import Glibc

package final class SmallVolume: Sendable {
  package let path: String
  private var ballast: String { path + "/ballast" }

  /// Nil where the process may not mount, or another process's mounts would be touched.
  package init?(mebibytes: Int) {
    path = Folder.make(below: Folder.slow)
    guard geteuid() == 0, mount("tmpfs", path, "tmpfs", 0, "size=\(mebibytes * 2)m") == 0 else {
      rmdir(path)
      return nil
    }
    let disk = RealDisk()
    guard let file = try? disk.open(ballast, .create),
      (try? file.write([UInt8](repeating: 1, count: mebibytes << 20), at: 0)) != nil
    else { return nil }
  }

  deinit {
    umount2(path, Int32(MNT_DETACH))
    rmdir(path)
  }

  package func removeBallast() { try? RealDisk().remove(ballast) }
}

/// Files of this process that are open and lie below `path`.
package func openFiles(below path: String) -> Int {
  var target = [CChar](repeating: 0, count: 4_096)
  return ((try? RealDisk().list("/proc/self/fd")) ?? []).filter { name in
    let count = readlink("/proc/self/fd/\(name)", &target, target.count)
    guard count > 0 else { return false }
    return String(decoding: target[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self).hasPrefix(path + "/")
  }.count
}
