// The sealer of control values for callers on any thread; a cipher belongs to one of them at a time.

import OpenSSL
import Threads

final class SealerPool: Sendable {
  private let root: SecretBytes
  private let idle = Lock<[ControlSealer]>([])

  init(root: SecretBytes) { self.root = root }

  func seal(_ value: [UInt8], key: String) -> [UInt8] { with { $0.seal(value, key: key, revision: 0) } }
  func open(_ sealed: [UInt8], key: String) -> [UInt8]? { with { $0.open(sealed, key: key, revision: 0) } }

  private func with<R>(_ body: (ControlSealer) -> R) -> R {
    let sealer = idle.with { $0.popLast() } ?? ControlSealer(root: root)
    defer { idle.with { if $0.count < 8 { $0.append(sealer) } } }
    return body(sealer)
  }
}
