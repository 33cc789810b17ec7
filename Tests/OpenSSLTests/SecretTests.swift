// Key material and randomness.

import OpenSSL
import Testing

struct SecretTests {
  @Test("a secret holds what it was given and shows none of it")
  func content() {
    var bytes: [UInt8] = Array("correct horse".utf8)
    let secret = SecretBytes(wiping: &bytes)
    #expect(bytes.isEmpty)
    #expect(secret.copy == Array("correct horse".utf8))
    #expect(secret.with { $0.byteCount } == 13)
    #expect("\(secret)" == "secret of 13 bytes")
    #expect(SecretBytes([UInt8]()).copy.isEmpty)
  }

  @Test("secrets beyond the locked memory still work")
  func many() {
    func content(_ number: Int) -> [UInt8] { [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 32) }
    let secrets = (0..<60_000).map { SecretBytes(content($0)) }
    #expect(secrets.enumerated().allSatisfy { $1.copy == content($0) })
  }

  @Test("comparison knows equal from unequal")
  func comparison() {
    #expect(constantTimeEqual([1, 2, 3], [1, 2, 3]))
    #expect(!constantTimeEqual([1, 2, 3], [1, 2, 4]))
    #expect(!constantTimeEqual([1, 2, 3], [1, 2]))
    #expect(constantTimeEqual([], []))
  }

  @Test("random bytes come in the wanted number and never the same twice")
  func random() {
    #expect(SystemRandom.bytes(0).isEmpty)
    let drawn = Set((0..<1000).map { _ in SystemRandom.bytes(16) })
    #expect(drawn.count == 1000)
    var generator = SystemRandom()
    #expect(generator.next() != generator.next())
  }
}
