// The key-encryption key comes from a passphrase by Argon2id; salt and parameters lie in a file (Formats'
// KeyringPassphrase), which holds nothing secret.

package import Base
import Formats
package import OpenSSL

package final class PassphraseKeyEncryption: KeyEncryption {
  private let wrapper: KeyWrapper

  /// `.wrongKey` when the passphrase is not the one that the file was made with. Only `creating` makes a file.
  package init(
    passphrase: SecretBytes, parametersPath path: String, creating: Argon2id.Parameters? = nil
  ) throws(AtRestError) {
    if let parameters = creating {
      let salt = SystemRandom.bytes(16)
      let key = try Argon2id.derive(passphrase: passphrase, salt: salt, parameters, count: 32)
      let wanted = KeyringPassphrase(
        memoryKiB: UInt32(parameters.memoryKiB), passes: UInt32(parameters.passes), lanes: UInt32(parameters.lanes),
        salt: salt, check: Self.check(key))
      guard (try? KeyringPassphrase(wanted.encode())) != nil else {
        throw AtRestError(.refused, "Argon2id parameters outside the bounds that are accepted when read")
      }
      try SecretFile.create(path, wanted.encode())
      wrapper = KeyWrapper(key: key)
      return
    }
    let content = try SecretFile.read(path, limit: KeyringPassphrase.byteCount, secret: false)
    let file: KeyringPassphrase
    do throws(FormatError) { file = try KeyringPassphrase(content) } catch {
      throw AtRestError(.damaged, "\(path): \(error.message)", at: error.offset)
    }
    let parameters = Argon2id.Parameters(
      memoryKiB: Int(file.memoryKiB), passes: Int(file.passes), lanes: Int(file.lanes))
    let key = try Argon2id.derive(passphrase: passphrase, salt: file.salt, parameters, count: 32)
    guard constantTimeEqual(Self.check(key), file.check) else {
      throw AtRestError(.wrongKey, "the passphrase is not the one that \(path) was made with")
    }
    wrapper = KeyWrapper(key: key)
  }

  private static func check(_ key: SecretBytes) -> [UInt8] {
    Array(HMACSHA256.authenticate(Array("komora passphrase check".utf8).span.bytes, key: key).prefix(8))
  }

  package var id: String { wrapper.id }

  package func wrap(_ key: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8] {
    wrapper.wrap(key, for: account)
  }

  package func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
    try wrapper.unwrap(wrapped, for: account)
  }
}
