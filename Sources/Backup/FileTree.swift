// Directories with all that is in them.

import Disk

enum FileTree {
  static func remove(_ disk: any Disk, _ path: String) throws(DiskError) {
    for name in try disk.list(path) {
      let child = "\(path)/\(name)"
      if try disk.info(child)?.isDirectory == true { try remove(disk, child) } else { try disk.remove(child) }
    }
    try disk.removeDirectory(path)
  }

  /// Every file below `path`, or `path` itself when it is one; sorted.
  static func files(_ disk: any Disk, _ path: String) throws(DiskError) -> [String] {
    guard let info = try disk.info(path) else { throw DiskError(.notFound, "open", path) }
    guard info.isDirectory else { return [path] }
    var found: [String] = []
    for name in try disk.list(path) { found += try files(disk, "\(path)/\(name)") }
    return found
  }
}
