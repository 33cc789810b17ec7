// What turns an account's key into bytes that may lie on a disk, and back: the key-encryption key of a node.
//
// A wrong one is told from damage where that is possible: keyrings name the id of the key that they are wrapped under.

package import Base
package import OpenSSL

package protocol KeyEncryption: Sendable {
  /// Names the key without saying anything about it; two different keys have different ids. At most 64 bytes of UTF-8.
  var id: String { get }
  /// Seals `key` for `account`; at most 512 bytes.
  func wrap(_ key: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8]
  /// `.wrongKey` when `wrapped` was not made by this key for this account.
  func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes
}
