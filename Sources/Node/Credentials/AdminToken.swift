// An administrator's token: personal, scoped, expiring, revocable.

package import Base

package struct AdminTokenRecord: Sendable, Equatable {
  /// 16 bytes, hexadecimal.
  package var id: String
  /// The person's name.
  package var name: String
  package var scopes: Set<AdminScope>
  package var createdAt: UnixMicroseconds
  package var expiresAt: UnixMicroseconds
}

/// A token when it is made: the only time that it is shown.
package struct NewAdminToken: Sendable {
  package var record: AdminTokenRecord
  package var token: String
}

/// The value of `admin/<id>` in the control store.
struct StoredAdminToken: Codable {
  var version = 1
  var name: String
  var scopes: [AdminScope]
  var createdAt: UnixMicroseconds
  var expiresAt: UnixMicroseconds
  var tokenHash: String
}
