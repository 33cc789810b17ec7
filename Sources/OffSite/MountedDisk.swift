// One disk below a directory of another: an archive elsewhere, read beside files that are written here.

package import Disk

package struct MountedDisk: Disk {
  private let base: any Disk
  private let root: String
  private let mounted: any Disk

  /// `mounted` has the paths at and below `root`, `base` all others.
  package init(_ base: any Disk, at root: String, _ mounted: any Disk) {
    self.base = base
    self.root = root
    self.mounted = mounted
  }

  private func disk(_ path: String) -> any Disk { path == root || path.hasPrefix(root + "/") ? mounted : base }

  package func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> any DiskFile {
    try disk(path).open(path, mode, direct: direct)
  }
  package func makeDirectory(_ path: String) throws(DiskError) { try disk(path).makeDirectory(path) }
  package func list(_ path: String) throws(DiskError) -> [String] { try disk(path).list(path) }
  package func info(_ path: String) throws(DiskError) -> FileInfo? { try disk(path).info(path) }
  package func rename(_ from: String, to: String) throws(DiskError) { try disk(from).rename(from, to: to) }
  package func remove(_ path: String) throws(DiskError) { try disk(path).remove(path) }
  package func removeDirectory(_ path: String) throws(DiskError) { try disk(path).removeDirectory(path) }
  package func syncDirectory(_ path: String) throws(DiskError) { try disk(path).syncDirectory(path) }
  package func freeBytes(_ path: String) throws(DiskError) -> UInt64 { try disk(path).freeBytes(path) }
  package func hold(_ directory: String, _ mode: HoldMode) throws(DiskError) -> (any DirectoryHold)? {
    try disk(directory).hold(directory, mode)
  }
}
