// The key that signs for one scope: four rounds of HMAC from the secret.

internal import OpenSSL

package struct SigningKey: Sendable {
  private let key: [UInt8]

  /// `secret` is the S3 secret key's text.
  package init(secret: [UInt8], scope: CredentialScope) {
    var key = Array("AWS4".utf8) + secret
    for part in [scope.day, scope.region, scope.service, "aws4_request"] {
      key = HMACSHA256.authenticate(Array(part.utf8), key: key)
    }
    self.key = key
  }

  /// HMAC-SHA-256 of a string to sign.
  func sign(_ text: String) -> [UInt8] { HMACSHA256.authenticate(Array(text.utf8), key: key) }
}
