// The forgetful disk with a witness: every write to a commit-log file is shown to it before it happens.

import Base
import Disk
import Simulator

final class ObservedDisk: Disk {
  private let disk: ForgetfulDisk
  private let witness: @Sendable (_ path: String, _ bytes: [UInt8]) -> Void

  init(_ disk: ForgetfulDisk, witness: @escaping @Sendable (String, [UInt8]) -> Void) {
    self.disk = disk
    self.witness = witness
  }

  func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> any DiskFile {
    let file = try disk.open(path, mode, direct: direct)
    return path.hasSuffix(".klog") ? ObservedFile(file, witness) : file
  }

  func makeDirectory(_ path: String) throws(DiskError) { try disk.makeDirectory(path) }
  func list(_ path: String) throws(DiskError) -> [String] { try disk.list(path) }
  func info(_ path: String) throws(DiskError) -> FileInfo? { try disk.info(path) }
  func rename(_ from: String, to: String) throws(DiskError) { try disk.rename(from, to: to) }
  func remove(_ path: String) throws(DiskError) { try disk.remove(path) }
  func removeDirectory(_ path: String) throws(DiskError) { try disk.removeDirectory(path) }
  func syncDirectory(_ path: String) throws(DiskError) { try disk.syncDirectory(path) }
  func freeBytes(_ path: String) throws(DiskError) -> UInt64 { try disk.freeBytes(path) }
}

private final class ObservedFile: DiskFile {
  private let file: any DiskFile
  private let witness: @Sendable (String, [UInt8]) -> Void
  var path: String { file.path }

  init(_ file: any DiskFile, _ witness: @escaping @Sendable (String, [UInt8]) -> Void) {
    self.file = file
    self.witness = witness
  }

  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
    try file.read(into: &bytes, at: offset)
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
    // A new file's zeros say nothing.
    if bytes.unsafeLoad(fromByteOffset: 0, as: UInt64.self) != 0 {
      witness(path, bytes.withUnsafeBytes { [UInt8]($0) })
    }
    try file.write(bytes, at: offset)
  }

  func sync() throws(DiskError) { try file.sync() }
  func size() throws(DiskError) -> UInt64 { try file.size() }
  func truncate(to bytes: UInt64) throws(DiskError) { try file.truncate(to: bytes) }
}
