// Tokens, keys and who a request comes from. A revocation is stored and gone from memory before the call
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
    return control.view.with { $0.credentials.principal(tokenHash: hash, now: clock.now) }
  }

  /// An access key is a name, not a secret: what proves its holder is the signature.
  package func s3Key(accessKey: String) -> S3Key? {
    control.view.with { directory in
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
    try await control.change { view throws(NodeError) in
      guard let account = view[record.account], account.record.isActive else {
        throw NodeError(.refused, "the account is not active")
      }
      let key = ControlKeys.key(accessKey)
      let lives = ControlCondition(ControlKeys.account(record.account), at: account.revision)
      return PlannedChange(
        conditions: [.absent(key), lives], changes: [.put(key, try ControlKeys.encode(stored))], value: ())
    }
    return NewKey(record: record, secretKey: secretKey, token: token)
  }

  /// Oldest first.
  package func keys(account name: String) throws(NodeError) -> [KeyRecord] {
    let account = try account(named: name)
    return control.view.with { $0.credentials.keys.values.map(\.record) }.filter { $0.account == account.id }
      .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  package func revokeKey(account name: String, accessKey: String) async throws(NodeError) {
    let account = try account(named: name)
    try await control.change { view throws(NodeError) in
      guard view.credentials.keys[accessKey]?.record.account == account.id else {
        throw NodeError(.notFound, "the account has no such key: see `komora key list`")
      }
      return PlannedChange(changes: [.delete(ControlKeys.key(accessKey))], value: ())
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
    try await control.change { _ throws(NodeError) in
      let put = ControlChange.put(ControlKeys.admin(record.id), try ControlKeys.encode(stored))
      return PlannedChange(changes: [put], value: ())
    }
    return NewAdminToken(record: record, token: token)
  }

  /// Oldest first, expired ones too.
  package func adminTokens() -> [AdminTokenRecord] {
    control.view.with { $0.credentials.admins.values.map(\.record) }
      .sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  package func revokeAdminToken(id: String) async throws(NodeError) {
    try await control.change { view throws(NodeError) in
      guard view.credentials.admins[id] != nil else {
        throw NodeError(.notFound, "there is no such token: see `komora token list`")
      }
      return PlannedChange(changes: [.delete(ControlKeys.admin(id))], value: ())
    }
  }
}
