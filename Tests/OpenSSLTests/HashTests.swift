// Hashes and what is built on them, against FIPS 180-4, RFC 1321, RFC 4231, RFC 5869 and RFC 7914.

import Base
import OpenSSL
import Testing

struct HashTests {
  @Test("SHA-256 gives the digests of FIPS 180-4, in one call, in parts and piece by piece")
  func sha256() {
    let vectors = [
      ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
      ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
      (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
      ),
    ]
    for (text, digest) in vectors {
      let bytes = Array(text.utf8)
      #expect(SHA256.hash(bytes).hex == digest)
      #expect(SHA256.hash(parts: bytes.map { [$0] }).hex == digest)
      let hasher = Hasher(.sha256)
      for byte in bytes { hasher.update([byte]) }
      #expect(hasher.finish().hex == digest)
      #expect(hasher.finish() == SHA256.hash([UInt8]()))
    }
    let million = [UInt8](repeating: 97, count: 1_000_000)
    #expect(SHA256.hash(million).hex == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test("two parts hash into given memory as they do in one piece")
  func intoMemory() {
    var digest = [UInt8](repeating: 0, count: 32)
    var span = digest.mutableSpan
    var raw = span.mutableBytes
    SHA256.hash(Array("a".utf8).span.bytes, Array("bc".utf8).span.bytes, into: &raw)
    #expect(digest == SHA256.hash(Array("abc".utf8)))
  }

  @Test("MD5 gives the digest of RFC 1321")
  func md5() {
    let hasher = Hasher(.md5)
    hasher.update(Array("abc".utf8))
    #expect(hasher.finish().hex == "900150983cd24fb0d6963f7d28e17f72")
  }

  @Test("HMAC-SHA-256 gives the results of RFC 4231, also with an empty key and a key longer than a block")
  func hmac() {
    func mac(_ text: String, _ key: [UInt8]) -> String { HMACSHA256.authenticate(Array(text.utf8), key: key).hex }
    #expect(
      mac("Hi There", [UInt8](repeating: 0x0b, count: 20))
        == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
    #expect(
      mac("what do ya want for nothing?", Array("Jefe".utf8))
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
    #expect(
      mac("Test Using Larger Than Block-Size Key - Hash Key First", [UInt8](repeating: 0xaa, count: 131))
        == "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    #expect(mac("", []) == "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad")
  }

  @Test("HKDF gives the results of RFC 5869, with and without salt")
  func hkdf() {
    let key = [UInt8](repeating: 0x0b, count: 22)
    #expect(
      HKDF.derive(key: key, salt: Array(0...12), info: Array(0xf0...0xf9), count: 42).hex
        == "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865")
    #expect(
      HKDF.derive(key: key, salt: [], info: [], count: 42).hex
        == "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
  }

  @Test("scrypt gives the result of RFC 7914 and refuses what needs more memory than allowed")
  func scrypt() {
    let phrase = SecretBytes(Array("password".utf8))
    let salt = Array("NaCl".utf8)
    let derived = Scrypt.derive(passphrase: phrase, salt: salt, logN: 10, r: 8, p: 16, count: 64)
    #expect(
      derived?.copy
        == hex(
          """
          fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162
          2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640
          """))
    #expect(Scrypt.derive(passphrase: phrase, salt: salt, logN: 20, count: 32, memoryMax: 1 << 20) == nil)
    #expect(Scrypt.derive(passphrase: phrase, salt: salt, logN: 63, count: 32) == nil)
  }

  @Test("threads that hash at the same time do not disturb each other")
  func threads() async {
    await withTaskGroup(of: Bool.self) { group in
      for task in 0..<8 {
        group.addTask {
          let bytes = [UInt8](repeating: UInt8(task), count: 1000 + task)
          let first = SHA256.hash(bytes)
          let mac = HMACSHA256.authenticate(bytes, key: first)
          for _ in 0..<500 {
            if SHA256.hash(bytes) != first || HMACSHA256.authenticate(bytes, key: first) != mac { return false }
          }
          return true
        }
      }
      for await same in group { #expect(same) }
    }
  }
}
