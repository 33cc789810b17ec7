// The recovery file of one account: with it and the archive's files the account can be restored on any machine.
//
// It is an ordinary age file, so that its holder can open it with the age tool; what is inside is Formats'
// RecoveryContents. Whoever can open it can read everything of the account that the archive holds.

package import Base
import Formats
package import OpenSSL

package struct RecoveryFile: Sendable {
  package enum Recipient: Sendable {
    /// `age1…`
    case age(String)
    case passphrase(SecretBytes)
  }

  package enum Identity: Sendable {
    /// `AGE-SECRET-KEY-1…`, or the text of an identity file with such lines and comments.
    case age(String)
    case passphrase(SecretBytes)
  }

  package static let bytesMax = 64 << 10

  package var account: AccountID
  package var accountKey: SecretBytes
  /// When it was written.
  package var at: UnixMicroseconds

  package init(account: AccountID, accountKey: SecretBytes, at: UnixMicroseconds) {
    self.account = account
    self.accountKey = accountKey
    self.at = at
  }

  package func encode(to recipient: Recipient) throws(AtRestError) -> [UInt8] {
    var contents = RecoveryContents(account: account, at: at, accountKey: accountKey.copy)
    var plain = contents.encode()
    defer {
      wipe(&plain)
      wipe(&contents.accountKey)
    }
    switch recipient {
    case .age(let recipient): return try Age.encrypt(plain, to: [recipient])
    case .passphrase(let phrase): return try Age.encrypt(plain, passphrase: phrase)
    }
  }

  /// `.wrongKey` when the identity or passphrase is another one.
  package init(decoding bytes: [UInt8], by identity: Identity) throws(AtRestError) {
    guard bytes.count <= Self.bytesMax else { throw AtRestError(.tooLarge, "not a recovery file: too long") }
    var plain =
      switch identity {
      case .age(let text): try Age.decrypt(bytes, identities: Age.identities(in: text))
      case .passphrase(let phrase): try Age.decrypt(bytes, passphrase: phrase)
      }
    defer { wipe(&plain) }
    do throws(FormatError) {
      var contents = try RecoveryContents(plain)
      account = contents.account
      at = contents.at
      accountKey = SecretBytes(wiping: &contents.accountKey)
    } catch {
      throw AtRestError(.damaged, error.message, at: error.offset)
    }
  }
}
