// A failure of keys, coding or sealing. It never carries key material or content.

public import Disk

public struct AtRestError: Error, Sendable, CustomStringConvertible {
  public enum Code: Sendable, Equatable {
    /// The key is another one than the bytes were sealed with. Nothing was touched.
    case wrongKey
    /// The bytes are not what was written; `offset` says where.
    case damaged
    case notFound
    case exists
    /// Well-formed but not accepted: a wide file mode, parameters out of bounds, a coding that does not exist yet.
    case refused
    /// More than the caller's limit.
    case tooLarge
    /// The disk or the system failed; `disk` has the cause when it was the disk.
    case io
    /// An earlier failure of a sync closed this object; open it anew.
    case closed
  }

  public var code: Code
  public var message: String
  /// Where in the file or message, when that is known.
  public var offset: Int?
  public var disk: DiskError?

  public init(_ code: Code, _ message: String, at offset: Int? = nil) {
    self.code = code
    self.message = message
    self.offset = offset
  }

  public init(_ error: DiskError) {
    code = error.code == .notFound ? .notFound : error.code == .exists ? .exists : .io
    message = error.description
    disk = error
  }

  public var description: String { offset.map { "\(message) (at byte \($0))" } ?? message }
}
