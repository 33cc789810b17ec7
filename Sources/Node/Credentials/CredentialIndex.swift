// Every credential of the node in memory, so that a request is authenticated without the disk and a revocation holds
// from the moment it is stored.
//
// Tokens are found by their SHA-256. The dictionary's time may depend on that hash, which says nothing about the token;
// the hash itself is compared in constant time.

import Base
import OpenSSL

struct CredentialIndex {
  struct Key {
    var record: KeyRecord
    var secret: SecretBytes
    var tokenHash: [UInt8]
  }
  struct Admin {
    var record: AdminTokenRecord
    var tokenHash: [UInt8]
  }
  private enum Owner {
    case key(String)
    case admin(String)
  }

  private(set) var keys: [String: Key] = [:]
  private(set) var admins: [String: Admin] = [:]
  private var owners: [[UInt8]: Owner] = [:]

  mutating func add(_ key: Key) {
    keys[key.record.id] = key
    owners[key.tokenHash] = .key(key.record.id)
  }

  mutating func add(_ admin: Admin) {
    admins[admin.record.id] = admin
    owners[admin.tokenHash] = .admin(admin.record.id)
  }

  mutating func removeKey(_ id: String) {
    if let key = keys.removeValue(forKey: id) { owners[key.tokenHash] = nil }
  }

  mutating func removeAdmin(_ id: String) {
    if let admin = admins.removeValue(forKey: id) { owners[admin.tokenHash] = nil }
  }

  /// Whose token has this hash at `now`; nil for an unknown or expired one.
  func principal(tokenHash: [UInt8], now: UnixMicroseconds) -> Principal? {
    switch owners[tokenHash] {
    case .key(let id):
      guard let key = keys[id], constantTimeEqual(key.tokenHash, tokenHash) else { return nil }
      return .account(key.record.account, keyID: id)
    case .admin(let id):
      guard let admin = admins[id], constantTimeEqual(admin.tokenHash, tokenHash), now < admin.record.expiresAt
      else { return nil }
      return .admin(name: admin.record.name, scopes: admin.record.scopes)
    case nil: return nil
    }
  }
}
