// Why a call through the fabric gave no answer.

package struct FabricError: Error, Equatable, CustomStringConvertible {
  package enum Code: Sendable, Hashable {
    /// No connection, and none could be made.
    case unreachable
    /// The peer, or this side, refused the other's certificate.
    case refused
    /// The deadline passed; the peer may or may not have acted.
    case deadline
    /// The connection ended after the question was sent; the peer may or may not have acted.
    case lost
    /// The peer gave the stream up.
    case cancelled
    /// A question, an answer or their number is over a limit.
    case tooLarge
    /// The peer does not have what is to be transferred, or has another version of it.
    case absent
    case changed
    /// This side is closing.
    case closed
  }

  package var code: Code
  package var message: String
  /// The counter's name of what ended the connection, such as `tls.wrongPin`; nil where none did.
  package var reason: String?

  package init(_ code: Code, _ message: String, reason: String? = nil) {
    self.code = code
    self.message = message
    self.reason = reason
  }

  package var description: String { message }
}
