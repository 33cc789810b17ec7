// The disk of this machine: POSIX calls, errors told apart, nothing cached.
//
// Files are made with mode 0600 and directories with 0700; descriptors close on exec, so that no child process inherits
// them. An interrupted call is made again. It adds no promise to the port: what is durable is what the port says.

internal import Glibc

public struct RealDisk: Disk {
  public init() {}

  public func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> any DiskFile {
    let flags =
      switch mode {
      case .read: O_RDONLY
      case .readWrite: O_RDWR
      case .create: O_RDWR | O_CREAT | O_EXCL
      case .createOrOpen: O_RDWR | O_CREAT
      }
    let descriptor = try Self.call("open", path) { Glibc.open(path, flags | O_CLOEXEC, 0o600) }
    let file = RealFile(adopting: descriptor, path: path)
    if direct, mode != .read { try file.enableDirect() }
    return file
  }

  public func makeDirectory(_ path: String) throws(DiskError) {
    if mkdir(path, 0o700) == 0 { return }
    var failure = errno
    if failure == ENOENT, let parent = parentDirectory(of: path), parent != path {
      try makeDirectory(parent)
      if mkdir(path, 0o700) == 0 { return }
      failure = errno
    }
    if failure == EEXIST, try info(path)?.isDirectory == true { return }
    throw DiskError(systemError: failure, "make directory", path)
  }

  public func list(_ path: String) throws(DiskError) -> [String] {
    guard let directory = opendir(path) else { throw DiskError(systemError: errno, "list", path) }
    defer { closedir(directory) }
    var names: [String] = []
    errno = 0
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
      errno = 0
    }
    if errno != 0 { throw DiskError(systemError: errno, "list", path) }
    return names.sorted()
  }

  public func info(_ path: String) throws(DiskError) -> FileInfo? {
    var status = stat()
    if lstat(path, &status) == 0 {
      return FileInfo(bytes: UInt64(status.st_size), isDirectory: status.st_mode & S_IFMT == S_IFDIR)
    }
    if errno == ENOENT || errno == ENOTDIR { return nil }
    throw DiskError(systemError: errno, "look at", path)
  }

  public func rename(_ from: String, to: String) throws(DiskError) {
    try Self.call("rename", from) { Glibc.rename(from, to) }
  }

  public func remove(_ path: String) throws(DiskError) {
    try Self.call("remove", path) { unlink(path) }
  }

  public func removeDirectory(_ path: String) throws(DiskError) {
    try Self.call("remove directory", path) { rmdir(path) }
  }

  public func syncDirectory(_ path: String) throws(DiskError) {
    let descriptor = try Self.call("sync directory", path) { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    defer { close(descriptor) }
    try Self.call("sync directory", path) { fsync(descriptor) }
  }

  public func freeBytes(_ path: String) throws(DiskError) -> UInt64 {
    var status = statvfs()
    try Self.call("look at", path) { statvfs(path, &status) }
    return UInt64(status.f_bavail) * UInt64(status.f_frsize)
  }

  /// Makes a system call again while signals interrupt it; -1 becomes an error.
  @discardableResult
  static func call(_ operation: String, _ path: String, _ body: () -> Int32) throws(DiskError) -> Int32 {
    while true {
      let result = body()
      if result >= 0 { return result }
      if errno != EINTR { throw DiskError(systemError: errno, operation, path) }
    }
  }
}

extension DiskError {
  init(systemError number: Int32, _ operation: String, _ path: String) {
    let code: Code =
      switch number {
      case ENOENT, ENOTDIR: .notFound
      case EEXIST, ENOTEMPTY: .exists
      case ENOSPC, EDQUOT: .full
      case EACCES, EPERM, EROFS: .notPermitted
      case EIO: .io
      case EMFILE, ENFILE: .tooManyFiles
      default: .other(number)
      }
    self.init(code, operation, path)
  }
}
