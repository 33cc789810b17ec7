// Lets operations of another disk fail, or end the process, where a plan says so.
//
// On a real disk with `onStop` killing the process it is how kill tests visit every write, sync and rename; with a
// failing fault it is the disk that breaks under a running engine. It forgets nothing: see `ForgetfulDisk`.

public import Disk
internal import Threads

public final class FaultyDisk: Disk {
  public typealias Hook = @Sendable (DiskOperation) -> DiskFault

  private let disk: any Disk
  private let hook: Hook
  private let onStop: @Sendable () -> Void
  private let counter = Lock(0)

  /// `onStop` is called for `.stop`, for example with `kill(getpid(), SIGKILL)`. If it returns, the operation fails.
  public init(_ disk: any Disk, onStop: @escaping @Sendable () -> Void = {}, hook: @escaping Hook) {
    self.disk = disk
    self.onStop = onStop
    self.hook = hook
  }

  public convenience init(_ disk: any Disk, _ plan: FaultPlan, onStop: @escaping @Sendable () -> Void = {}) {
    self.init(disk, onStop: onStop, hook: plan.decide)
  }

  public func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> any DiskFile {
    var kind = DiskOperation.Kind.open
    if mode == .create || mode == .createOrOpen, try disk.info(path) == nil { kind = .create }
    let file = try perform(kind, "open", path) { () throws(DiskError) in try disk.open(path, mode, direct: direct) }
    return FaultyFile(file, on: self)
  }

  public func makeDirectory(_ path: String) throws(DiskError) {
    try perform(.makeDirectory, "make directory", path) { () throws(DiskError) in try disk.makeDirectory(path) }
  }

  public func list(_ path: String) throws(DiskError) -> [String] { try disk.list(path) }

  public func info(_ path: String) throws(DiskError) -> FileInfo? { try disk.info(path) }

  public func rename(_ from: String, to: String) throws(DiskError) {
    try perform(.rename, "rename", to) { () throws(DiskError) in try disk.rename(from, to: to) }
  }

  public func remove(_ path: String) throws(DiskError) {
    try perform(.remove, "remove", path) { () throws(DiskError) in try disk.remove(path) }
  }

  public func removeDirectory(_ path: String) throws(DiskError) {
    try perform(.removeDirectory, "remove directory", path) { () throws(DiskError) in try disk.removeDirectory(path) }
  }

  public func syncDirectory(_ path: String) throws(DiskError) {
    try perform(.syncDirectory, "sync directory", path) { () throws(DiskError) in try disk.syncDirectory(path) }
  }

  public func freeBytes(_ path: String) throws(DiskError) -> UInt64 { try disk.freeBytes(path) }

  func perform<R>(
    _ kind: DiskOperation.Kind, _ operation: String, _ path: String, half: () throws(DiskError) -> Void = {},
    _ body: () throws(DiskError) -> R
  ) throws(DiskError) -> R {
    let index = counter.with { count in
      if kind.changes { count += 1 }
      return count
    }
    switch hook(DiskOperation(kind: kind, path: path, index: index)) {
    case .proceed: return try body()
    case .fail(let code): throw DiskError(code, operation, path)
    case .failHalf(let code):
      try half()
      throw DiskError(code, operation, path)
    case .stop(let moment):
      if moment == .middle { try half() }
      if moment == .after { _ = try body() }
      onStop()
      throw DiskError(.io, operation, path)
    }
  }
}

private final class FaultyFile: DiskFile {
  let path: String
  private let file: any DiskFile
  private let disk: FaultyDisk

  init(_ file: any DiskFile, on disk: FaultyDisk) {
    path = file.path
    self.file = file
    self.disk = disk
  }

  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
    // The closure may not hold the span, so the fault is decided first.
    try disk.perform(.read, "read", path) { () throws(DiskError) in }
    return try file.read(into: &bytes, at: offset)
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
    try disk.perform(
      .write, "write", path,
      half: { () throws(DiskError) in
        // A disk tears between sectors, never inside of one.
        let end = (offset + UInt64(bytes.byteCount / 2)) & ~511
        if end > offset { try file.write(bytes.extracting(first: Int(end - offset)), at: offset) }
      }
    ) { () throws(DiskError) in try file.write(bytes, at: offset) }
  }

  func sync() throws(DiskError) {
    try disk.perform(.sync, "sync", path) { () throws(DiskError) in try file.sync() }
  }

  func size() throws(DiskError) -> UInt64 { try file.size() }

  func truncate(to bytes: UInt64) throws(DiskError) {
    try disk.perform(.truncate, "truncate", path) { () throws(DiskError) in try file.truncate(to: bytes) }
  }
}
