// Seals and opens the entries of a keyring under its account key.
//
// Nonces are random: a keyring's most entries (20 million) stay far below the 2^32 that NIST SP 800-38D allows a key.
// Entries are sealed once; a rewritten file takes them over as they are, so daily erasures draw no nonces.

import Base
import Formats
import OpenSSL
import Threads

final class KeyringSealer: Sendable {
  private let account: AccountID
  private let cipher: Lock<AESGCM>

  init(account: AccountID, accountKey: SecretBytes) {
    self.account = account
    cipher = Lock(AESGCM(key: accountKey))
  }

  func seal(_ key: SecretBytes, kind: KeyringFrame.Kind, id: UInt128, number: UInt64) -> KeyringFrame {
    let nonce = SystemRandom.bytes(AESGCM.nonceBytes)
    let room = [UInt8](repeating: 0, count: key.count + AESGCM.tagBytes)
    var frame = KeyringFrame(kind: kind, number: number, id: RecordingID(bits: id).bytes, nonce: nonce, sealed: room)
    let aad = frame.binding(account)
    var plain = key.copy
    frame.sealed = cipher.with { $0.seal(plain, nonce: nonce, aad: aad) }
    wipe(&plain)
    return frame
  }

  /// Nil when the entry was sealed under another key, for another account or for another purpose.
  func open(_ frame: KeyringFrame) -> SecretBytes? {
    let aad = frame.binding(account)
    guard var plain = cipher.with({ $0.open(frame.sealed, nonce: frame.nonce, aad: aad) }) else { return nil }
    return SecretBytes(wiping: &plain)
  }
}
