// The key-encryption key lies in a file of its own, mode 0600; the layout is Formats' KeyringKeyFile.

package import Base
import Formats
package import OpenSSL

package final class FileKeyEncryption: KeyEncryption {
  private let wrapper: KeyWrapper

  /// Reads the key; `.notFound` when there is no file, `.refused` when others than its owner may read it. Only
  /// `creating` makes a file, and never over one that is there: a lost key must not be followed by a new one.
  package init(path: String, creating: Bool = false) throws(AtRestError) {
    if creating {
      var key = SystemRandom.bytes(32)
      var content = KeyringKeyFile(key: key).encode()
      defer {
        wipe(&key)
        wipe(&content)
      }
      try SecretFile.create(path, content)
    }
    var content = try SecretFile.read(path, limit: KeyringKeyFile.byteCount, secret: true)
    defer { wipe(&content) }
    do throws(FormatError) {
      var file = try KeyringKeyFile(content)
      wrapper = KeyWrapper(key: SecretBytes(wiping: &file.key))
    } catch {
      throw AtRestError(.damaged, "\(path): \(error.message)", at: error.offset)
    }
  }

  package var id: String { wrapper.id }

  package func wrap(_ key: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8] {
    wrapper.wrap(key, for: account)
  }

  package func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
    try wrapper.unwrap(wrapped, for: account)
  }
}
