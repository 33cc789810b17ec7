// Secrets that the node hands out once, and what it keeps of them.
//
// A token has 43 characters of 62, drawn uniformly: 256 bits. So it is stored as its plain SHA-256: nobody can guess a
// value of that many bits, and a slow password hash would only make each request slow. S3's signature needs the secret
// itself, so that one is stored sealed instead.

import OpenSSL

package enum Token {
  static let prefix = "kt_"
  private static let digits = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".utf8)
  /// RFC 4648's alphabet: no digit that looks like a letter.
  private static let base32 = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)

  /// `kt_` and 43 letters and digits.
  package static func draw() -> String { prefix + letters(43, of: digits) }
  /// 40 letters and digits: 238 bits.
  static func drawSecretKey() -> String { letters(40, of: digits) }
  /// `KM` and 18 letters and digits; a name, not a secret.
  static func drawAccessKey() -> String { "KM" + letters(18, of: base32) }

  /// 32 bytes. Nil when the text cannot be a token, so that nothing long is hashed.
  package static func hash(_ token: String) -> [UInt8]? {
    guard token.hasPrefix(prefix), token.utf8.count <= 128 else { return nil }
    return SHA256.hash(Array(token.utf8))
  }

  private static func letters(_ count: Int, of alphabet: [UInt8]) -> String {
    var random = SystemRandom()
    // `Int.random` rejects what would make some letters more likely.
    let drawn = (0..<count).map { _ in alphabet[Int.random(in: 0..<alphabet.count, using: &random)] }
    return String(decoding: drawn, as: UTF8.self)
  }
}
