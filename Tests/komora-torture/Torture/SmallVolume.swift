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
    umount2(path, Int32(MNT_DETACH.rawValue))
    rmdir(path)
  }

  package func removeBallast() { try? RealDisk().remove(ballast) }
}
