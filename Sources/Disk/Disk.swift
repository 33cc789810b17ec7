// The port for files: what the log, the shards and the archive ask of a disk, and no more.
//
// A disk promises little. What was written may be lost, torn at any 512-byte sector or reordered until `sync` of that
// file has returned; a created, renamed or removed name may be forgotten until `syncDirectory` of its directory has
// returned. After a `sync` that failed the file is suspect: the next sync may say "ok" while the bytes are gone, so its
// owner stops using it. Every method blocks and belongs on a thread of ours, never on the cooperative pool.

/// A failure of the disk, or of what it was asked.
public struct DiskError: Error, Sendable, CustomStringConvertible {
  public enum Code: Sendable, Equatable {
    case notFound, exists, full, notPermitted, io, tooManyFiles, other(Int32)
  }
  public var code: Code
  public var operation: String
  public var path: String

  public init(_ code: Code, _ operation: String, _ path: String) {
    self.code = code
    self.operation = operation
    self.path = path
  }

  public var description: String {
    let reason =
      switch code {
      case .notFound: "no such file"
      case .exists: "it exists already"
      case .full: "the disk is full"
      case .notPermitted: "permission denied"
      case .io: "input/output error"
      case .tooManyFiles: "too many open files"
      case .other(let number): "system error \(number)"
      }
    return "\(operation) \(path): \(reason)"
  }
}

public enum OpenMode: Sendable {
  /// Must exist; no writes.
  case read
  /// Must exist.
  case readWrite
  /// Must not exist.
  case create
  /// Made when it is not there.
  case createOrOpen
}

public struct FileInfo: Sendable, Equatable {
  public var bytes: UInt64
  public var isDirectory: Bool
  public init(bytes: UInt64, isDirectory: Bool) {
    self.bytes = bytes
    self.isDirectory = isDirectory
  }
}

public protocol Disk: Sendable {
  /// `direct` asks for writes that bypass the page cache; the file then wants offsets, lengths and memory aligned to
  /// `DiskBuffer.alignment`, which `DiskBuffer` provides. A disk without it opens the file as usual.
  func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> any DiskFile
  /// Makes `path` and what is missing above it; mode 0700.
  func makeDirectory(_ path: String) throws(DiskError)
  /// Names in a directory, sorted, without "." and "..".
  func list(_ path: String) throws(DiskError) -> [String]
  /// Nil when there is nothing.
  func info(_ path: String) throws(DiskError) -> FileInfo?
  /// Replaces what `to` named, in one step.
  func rename(_ from: String, to: String) throws(DiskError)
  func remove(_ path: String) throws(DiskError)
  func removeDirectory(_ path: String) throws(DiskError)
  /// Makes names created, renamed or removed in `path` durable.
  func syncDirectory(_ path: String) throws(DiskError)
  /// Bytes that an ordinary process may still write below `path`.
  func freeBytes(_ path: String) throws(DiskError) -> UInt64
  /// Keeps others from removing files below `directory`, or, `.alone`, from reading there; nil when that is not to be had.
  /// It binds only those who ask for it as well.
  func hold(_ directory: String, _ mode: HoldMode) throws(DiskError) -> (any DirectoryHold)?
}

/// One open file. Reads and writes at different offsets may come from several threads; closes with its last reference.
public protocol DiskFile: AnyObject, Sendable {
  var path: String { get }
  /// Fills `bytes` from `offset`; gives how many were there before the end of the file.
  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int
  func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError)
  /// fdatasync(2): returns when content and length are durable.
  func sync() throws(DiskError)
  func size() throws(DiskError) -> UInt64
  func truncate(to bytes: UInt64) throws(DiskError)
}

extension Disk {
  public func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any DiskFile {
    try open(path, mode, direct: false)
  }
}

extension DiskFile {
  /// Up to `count` bytes from `offset`; fewer at the end of the file.
  public func read(_ count: Int, at offset: UInt64) throws(DiskError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    let got = try read(into: &raw, at: offset)
    if got < count { bytes.removeLast(count - got) }
    return bytes
  }

  public func write(_ bytes: [UInt8], at offset: UInt64) throws(DiskError) {
    try write(bytes.span.bytes, at: offset)
  }
}
