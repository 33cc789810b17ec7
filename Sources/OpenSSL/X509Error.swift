// A certificate, key or request that cannot be read, does not belong together, or says what it must not.

package struct X509Error: Error, Equatable, CustomStringConvertible {
  package enum Code: Sendable {
    /// Not PEM of the kind that was asked for, or damaged.
    case unreadable
    /// A key that is neither Ed25519 nor P-256.
    case keyKind
    /// A request whose signature does not match, or a key of another certificate.
    case mismatch
    /// An identity that does not follow the pattern.
    case identity
    /// The validity ends before it begins.
    case validity
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }
}
