// The recovery file of one account: its root key, sealed for somebody outside. With it and the archive's files the
// account comes back without any node. Whoever may make one can read the account, so each is counted.

import AtRest
import Base
import OpenSSL
import ShardStore

/// Who can open a recovery file.
package enum RecoveryRecipient: Sendable {
  /// An age recipient, `age1…`.
  case age(String)
  case passphrase(String)

  func checked() throws(NodeError) -> RecoveryFile.Recipient {
    switch self {
    case .age(let text): return .age(text)
    case .passphrase(let text):
      guard text.utf8.count >= 12 else {
        throw NodeError(.invalid, "a recovery passphrase has at least 12 bytes: it may be attacked for years")
      }
      return .passphrase(SecretBytes(Array(text.utf8)))
    }
  }
}

extension NodeService {
  package func recoveryFile(
    account name: String, recipient: RecoveryRecipient
  ) async throws(NodeError) -> [UInt8] {
    let account = try account(named: name)
    guard account.isActive else { throw NodeError(.refused, "the account is not active") }
    try checkHeld(account)
    let target = try recipient.checked()
    let (engine, now) = (engine, clock.now)
    do {
      let file = try await blocking {
        let keyring = try engine.keyring(account.id)
        return try RecoveryFile(account: account.id, accountKey: keyring.accountKey, at: now).encode(to: target)
      }
      metrics.counter("komora_recovery_files_total").increment()
      return file
    } catch let error as AtRestError where error.code == .refused || error.code == .damaged {
      throw NodeError(.invalid, error.message)
    } catch {
      throw NodeError(describing: error)
    }
  }
}
