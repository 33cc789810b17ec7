// Ciphers of one key for several threads: each use takes an instance and gives it back.

import OpenSSL
import Threads

final class CipherPool: Sendable {
  private let key: SecretBytes
  private let idle = Lock<[AESGCM]>([])

  init(key: SecretBytes) { self.key = key }

  func with<R>(_ body: (AESGCM) -> R) -> R {
    let cipher = idle.with { $0.popLast() } ?? AESGCM(key: key)
    defer { idle.with { if $0.count < 8 { $0.append(cipher) } } }
    return body(cipher)
  }
}
