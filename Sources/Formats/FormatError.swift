// Bytes that are not what they should be: which layout, where, and what is wrong with it.

import Base

public struct FormatError: Error, Equatable, CustomStringConvertible {
  public enum Code: Sendable {
    /// Another kind of file, or none.
    case foreign
    /// Made by a newer release.
    case version
    /// Ends before the layout does.
    case truncated
    /// A check does not match.
    case damaged
    /// A length or count that no writer makes.
    case limit
  }

  public var code: Code
  public var message: String
  /// Byte in the layout where it was noticed.
  public var offset: Int

  public init(_ code: Code, _ message: String, at offset: Int = 0) {
    self.code = code
    self.message = message
    self.offset = offset
  }

  init(_ error: BytesError) { self.init(.truncated, error.message, at: error.offset) }

  public var description: String { "\(message) (byte \(offset))" }
}
