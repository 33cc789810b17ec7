// Why a request or its body was refused.
//
// One struct for the module: the code decides what a client hears (the S3 surface maps it to S3's own names), the
// message is one sentence for people. Neither ever contains a secret, a signature that was computed here, or a key
// name.

package struct SigV4Error: Error, Equatable, CustomStringConvertible {
  package enum Code: String, Sendable, CaseIterable {
    /// No credentials at all.
    case missing
    /// Credentials, target or headers that do not have the form that Signature V4 asks for.
    case malformed
    /// A form that exists elsewhere and is not spoken here (Signature V2, V4A, session tokens).
    case unsupported
    /// The signature is not the one that the secret gives.
    case mismatch
    /// The request's time is more than 15 minutes away from ours.
    case skewed
    /// A presigned URL after its time.
    case expired
    /// A header that has to be signed is not.
    case unsignedHeader
    /// The body is not the one that was signed or announced by a checksum.
    case payloadMismatch
    /// The body ends before or after the announced length.
    case wrongLength
    /// The aws-chunked framing is broken.
    case malformedChunk
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { "\(code.rawValue): \(message)" }
}
