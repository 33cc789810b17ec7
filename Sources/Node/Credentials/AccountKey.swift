// An account's API key: an access key that names it, a secret for S3's signature, and a token for SQL and `/v1`.

package import Base
package import OpenSSL

/// What may be shown of a key.
package struct KeyRecord: Sendable, Equatable {
  /// The access key.
  package var id: String
  package var account: AccountID
  package var label: String
  package var createdAt: UnixMicroseconds
  package var accessKey: String { id }
}

/// A key when it is made: the only time that its secrets are shown.
package struct NewKey: Sendable {
  package var record: KeyRecord
  package var secretKey: String
  package var token: String
  package var accessKey: String { record.id }
}

/// What the verifier of S3's signature needs.
package struct S3Key: Sendable {
  package var account: AccountRecord
  package var secret: SecretBytes
  package var keyID: String
}

/// The value of `key/<access key>` in the control store.
struct StoredKey: Codable {
  var version = 1
  var account: String
  var label: String
  var createdAt: UnixMicroseconds
  var secretKey: String
  /// SHA-256 of the token, hexadecimal.
  var tokenHash: String
}
