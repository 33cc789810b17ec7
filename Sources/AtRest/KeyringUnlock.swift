// How a keyring is opened: by the node's key-encryption key, or by the account key itself from a recovery file.

import Base
import Formats
package import OpenSSL

package enum KeyringUnlock: Sendable {
  case keyEncryption(any KeyEncryption)
  case accountKey(SecretBytes)

  /// `.wrongKey` when no wrap of the header was made by this key.
  func accountKey(of header: KeyringHeader) throws(AtRestError) -> SecretBytes {
    switch self {
    case .accountKey(let key):
      guard key.count == 32 else { throw AtRestError(.wrongKey, "an account key has 32 bytes, not \(key.count)") }
      return key
    case .keyEncryption(let kek):
      guard let wrap = header.wraps.first(where: { $0.keyID == kek.id }) else {
        let known = header.wraps.map(\.keyID).joined(separator: ", ")
        throw AtRestError(
          .wrongKey, "the keyring is wrapped under key-encryption key \(known); the one given is \(kek.id)")
      }
      let key = try kek.unwrap(wrap.wrapped, for: header.account)
      guard key.count == 32 else { throw AtRestError(.damaged, "the wrapped account key has \(key.count) bytes") }
      return key
    }
  }

  /// Reads the account's own keys; `.wrongKey` when not even the first one opens.
  static func keys(
    _ image: KeyringImage, _ sealer: KeyringSealer, frame: (UInt64) throws(AtRestError) -> KeyringFrame
  ) throws(AtRestError) -> AccountKeys {
    var opened = 0
    return try AccountKeys { (kind) throws(AtRestError) in
      guard let place = image.others[KeyringImage.Name(kind: kind, id: AccountKeys.noID)] else {
        throw AtRestError(.damaged, "the keyring lacks the account's key of kind \(kind.rawValue)")
      }
      guard let key = sealer.open(try frame(place)) else {
        throw opened == 0
          ? AtRestError(.wrongKey, "the account key does not open this keyring")
          : AtRestError(.damaged, "an entry of the keyring does not open", at: Int(place))
      }
      guard key.count == 32 else {
        throw AtRestError(.damaged, "a key of \(key.count) bytes in the keyring", at: Int(place))
      }
      opened += 1
      return key
    }
  }

  /// The frame in the bytes read from `place` on.
  static func frame(_ bytes: [UInt8], at place: UInt64) throws(AtRestError) -> KeyringFrame {
    guard let frame = KeyringFrame(front: bytes[...]) else {
      throw AtRestError(.damaged, "an entry of the keyring is damaged", at: Int(place))
    }
    return frame
  }
}
