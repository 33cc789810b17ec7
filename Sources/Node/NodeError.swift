// What the node refuses or fails at, in words for the person who asked.
//
// The code decides the HTTP status and the exit code of the command line; nobody reads the message by program. It never
// holds tenant data, keys or SQL.

package struct NodeError: Error, Sendable, Equatable, CustomStringConvertible {
  package enum Code: String, Sendable {
    case notFound, exists, invalid, refused, unavailable, io
    /// Another node holds the account.
    case elsewhere
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }

  /// True when the same request may succeed later without anybody acting.
  package var isRetryable: Bool { code == .unavailable }
}
