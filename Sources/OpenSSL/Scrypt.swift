// scrypt (RFC 7914), for age files under a passphrase. Our own passphrases use Argon2id.

import COpenSSL

package enum Scrypt {
  /// Nil when the parameters need more than `memoryMax` bytes or are none of scrypt's. `logN` is the exponent of the
  /// work factor N.
  package static func derive(
    passphrase: SecretBytes, salt: [UInt8], logN: Int, r: Int = 8, p: Int = 1, count: Int, memoryMax: Int = 1 << 30
  ) -> SecretBytes? {
    guard (1...30).contains(logN), r > 0, p > 0 else { return nil }
    var derived = false
    let key = SecretBytes(count: count) { span in
      passphrase.with { phrase in
        phrase.withUnsafeBytes { words in
          span.withUnsafeMutableBytes { out in
            let result = EVP_PBE_scrypt(
              words.baseAddress?.assumingMemoryBound(to: CChar.self), words.count, salt, salt.count,
              1 << UInt64(logN), UInt64(r), UInt64(p), UInt64(memoryMax),
              out.baseAddress!.assumingMemoryBound(to: UInt8.self), out.count)
            derived = result == 1
          }
        }
      }
    }
    ERR_clear_error()
    return derived ? key : nil
  }
}
