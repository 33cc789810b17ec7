// What can go wrong with a backup: one type, a code to act on, a sentence to read, a place to look at.

public import Base
public import Disk

public struct BackupError: Error, Sendable, CustomStringConvertible {
  public enum Code: Sendable, Equatable {
    /// There is no such snapshot, archive or file.
    case notFound
    /// The target exists already.
    case exists
    /// Bytes are not what was written. Permanent for this file.
    case damaged
    /// The keys do not open it. Nothing was touched.
    case wrongKey
    /// A rule forbids it: a missing keyring state, a position that is not the expected one.
    case refused
    /// The disk is full; may be tried again.
    case diskFull
    /// The disk failed.
    case io
    /// The database or the engine said no.
    case failed
    /// Whoever asked for it does not want it any more, or the process ends.
    case cancelled
  }

  public var code: Code
  public var message: String
  public var path: String?
  /// In the file at `path`.
  public var offset: Int?

  public init(_ code: Code, _ message: String, path: String? = nil, offset: Int? = nil) {
    self.code = code
    self.message = message
    self.path = path
    self.offset = offset
  }

  /// Bytes at `base` of the file at `path` that do not fit their layout.
  public init(_ error: BytesError, path: String, base: Int = 0) {
    self.init(.damaged, error.message, path: path, offset: base + error.offset)
  }

  public init(_ error: DiskError) {
    let code: Code =
      switch error.code {
      case .notFound: .notFound
      case .full: .diskFull
      case .exists: .exists
      default: .io
      }
    self.init(code, error.description, path: error.path)
  }

  public var description: String {
    var text = message
    if let path { text += " (\(path)" + (offset.map { " at byte \($0)" } ?? "") + ")" }
    return text
  }
}

/// Runs `body` and turns a disk's error into ours.
func onDisk<T>(_ body: () throws(DiskError) -> T) throws(BackupError) -> T {
  do { return try body() } catch { throw BackupError(error) }
}

/// Runs `body` and turns a layout's error into ours, with the place in the file.
func decoding<T>(_ path: String, base: Int = 0, _ body: () throws(BytesError) -> T) throws(BackupError) -> T {
  do { return try body() } catch { throw BackupError(error, path: path, base: base) }
}
