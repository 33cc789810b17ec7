// Tokens, keys and who a request comes from. A revocation is stored and then removed from memory before the call
// returns: no later request passes with it.

import Base
import ControlStores
import OpenSSL
import ShardStore
import Threads

extension NodeService {
  /// Who holds this token now; nil for nobody. Takes the same time for every wrong token.
  package func authenticate(bearer: String) -> Principal? {
    guard let hash = Token.hash(bearer) else { return nil }
    if let bootstrapTokenHash, constantTimeEqual(bootstrapTokenHash, hash) {
      return .admin(name: "bootstrap", scopes: [.all])
    }
    return directory.with { $0.credentials.principal(tokenHash: hash, now: clock.now) }
  }

  /// An access key is a name, not a secret: what proves its holder is the signature.
  package func s3Key(accessKey: String) -> S3Key? {
    directory.with { directory in
      guard let key = directory.credentials.keys[accessKey], let account = directory[key.record.account]?.record else {
        return nil
      }
      return S3Key(account: account, secret: key.secret, keyID: accessKey)
    }
  }

  package func createKey(account name: String, label: String = "") async throws(NodeError) -> NewKey {
    let account = try account(named: name)
    guard account.isActive else { throw NodeError(.refused, "the account is not active") }
    guard label.utf8.count <= 128 else { throw NodeError(.invalid, "a label has at most 128 bytes") }
    let (accessKey, secretKey, token) = (Token.drawAccessKey(), Token.drawSecretKey(), Token.draw())
    let hash = SHA256.hash(Array(token.utf8))
    let record = KeyRecord(id: accessKey, account: account.id, label: label, createdAt: clock.now)
    let stored = StoredKey(
      account: "\(account.id)", label: label, createdAt: record.createdAt, secretKey: secretKey, tokenHash: hash.hex)
    try await change { () throws(NodeError) in
      _ = try self.commit(
        [.put(ControlKeys.key(accessKey), try ControlKeys.encode(stored))], if: [.absent(ControlKeys.key(accessKey))])
      let secret = SecretBytes(Array(secretKey.utf8))
      self.directory.with { $0.credentials.add(.init(record: record, secret: secret, tokenHash: hash)) }
    }
    return NewKey(record: record, secretKey: secretKey, token: token)
  }

  /// Oldest first.
  package func keys(account name: String) throws(NodeError) -> [KeyRecord] {
    let account = try account(named: name)
    return directory.with { $0.credentials.keys.values.map(\.record) }.filter { $0.account == account.id }
      .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  package func revokeKey(account name: String, accessKey: String) async throws(NodeError) {
    let account = try account(named: name)
    try await change { () throws(NodeError) in
      guard self.directory.with({ $0.credentials.keys[accessKey]?.record.account }) == account.id else {
        throw NodeError(.notFound, "the account has no such key: see `komora key list`")
      }
      _ = try self.commit([.delete(ControlKeys.key(accessKey))])
      self.directory.with { $0.credentials.removeKey(accessKey) }
    }
  }

  // MARK: administrators

  package func createAdminToken(
    name: String, scopes: Set<AdminScope>, validFor duration: Duration
  ) async throws(NodeError) -> NewAdminToken {
    guard !name.isEmpty, name.utf8.count <= 128, !scopes.isEmpty else {
      throw NodeError(.invalid, "an administrator's token wants a name of at most 128 bytes and at least one scope")
    }
    guard duration > .zero, duration <= .seconds(366 * 86_400) else {
      throw NodeError(.invalid, "an administrator's token is valid for at most 366 days")
    }
    let token = Token.draw()
    let hash = SHA256.hash(Array(token.utf8))
    let now = clock.now
    let record = AdminTokenRecord(
      id: SystemRandom.bytes(16).hex, name: name, scopes: scopes, createdAt: now,
      expiresAt: now + duration.wholeMicroseconds)
    let stored = StoredAdminToken(
      name: name, scopes: scopes.sorted(), createdAt: now, expiresAt: record.expiresAt, tokenHash: hash.hex)
    try await change { () throws(NodeError) in
      _ = try self.commit([.put(ControlKeys.admin(record.id), try ControlKeys.encode(stored))])
      self.directory.with { $0.credentials.add(.init(record: record, tokenHash: hash)) }
    }
    return NewAdminToken(record: record, token: token)
  }

  /// Oldest first, expired ones too.
  package func adminTokens() -> [AdminTokenRecord] {
    directory.with { $0.credentials.admins.values.map(\.record) }
      .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  package func revokeAdminToken(id: String) async throws(NodeError) {
    try await change { () throws(NodeError) in
      guard self.directory.with({ $0.credentials.admins[id] }) != nil else {
        throw NodeError(.notFound, "there is no such token: see `komora token list`")
      }
      _ = try self.commit([.delete(ControlKeys.admin(id))])
      self.directory.with { $0.credentials.removeAdmin(id) }
    }
  }
}
