// A disk that shows in a shared page which kind of work is writing or syncing at this moment, told by the path.

import Disk

final class PhaseDisk: Disk {
  private let disk = RealDisk()
  let page: SharedPage

  init(_ page: SharedPage) { self.page = page }

  static func phase(_ path: String) -> SharedPage.Counter? {
    if path.contains("/.restore-") { return nil }
    if path.hasSuffix(".klog") { return .commit }
    if path.hasSuffix(".kseg") || path.hasSuffix("/segments") { return .roll }
    if path.hasSuffix(".kpgs") || path.hasSuffix(".krdo") { return .checkpoint }
    return nil
  }

  func work<R>(_ path: String, _ body: () throws(DiskError) -> R) throws(DiskError) -> R {
    guard let phase = Self.phase(path) else { return try body() }
    page.add(phase, 1)
    defer { page.add(phase, -1) }
    return try body()
  }

  func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> any DiskFile {
    PhaseFile(try disk.open(path, mode, direct: direct), self)
  }
  func makeDirectory(_ path: String) throws(DiskError) { try disk.makeDirectory(path) }
  func list(_ path: String) throws(DiskError) -> [String] { try disk.list(path) }
  func info(_ path: String) throws(DiskError) -> FileInfo? { try disk.info(path) }
  func rename(_ from: String, to: String) throws(DiskError) { try disk.rename(from, to: to) }
  func remove(_ path: String) throws(DiskError) { try disk.remove(path) }
  func removeDirectory(_ path: String) throws(DiskError) { try disk.removeDirectory(path) }
  func syncDirectory(_ path: String) throws(DiskError) {
    try work(path) { () throws(DiskError) in try disk.syncDirectory(path) }
  }
  func freeBytes(_ path: String) throws(DiskError) -> UInt64 { try disk.freeBytes(path) }
}

private final class PhaseFile: DiskFile {
  private let file: any DiskFile
  private let disk: PhaseDisk
  var path: String { file.path }

  init(_ file: any DiskFile, _ disk: PhaseDisk) {
    self.file = file
    self.disk = disk
  }

  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
    try file.read(into: &bytes, at: offset)
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
    // The closure may not hold the span.
    let phase = PhaseDisk.phase(path)
    if let phase { disk.page.add(phase, 1) }
    defer { if let phase { disk.page.add(phase, -1) } }
    try file.write(bytes, at: offset)
  }

  func sync() throws(DiskError) { try disk.work(path) { () throws(DiskError) in try file.sync() } }
  func size() throws(DiskError) -> UInt64 { try file.size() }
  func truncate(to bytes: UInt64) throws(DiskError) {
    try disk.work(path) { () throws(DiskError) in try file.truncate(to: bytes) }
  }
}
