// AES-256-GCM against the vectors of its specification (McGrew and Viega, "The Galois/Counter Mode of Operation", cases
// 13, 14 and 16, which NIST took over), and what its users rely on beyond them.

import Base
import OpenSSL
import Testing

struct AESGCMTests {
  private let key16 = hex("feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308")
  private let plain16 = hex(
    """
    d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
    1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39
    """)
  private let aad16 = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
  private let nonce16 = hex("cafebabefacedbaddecaf888")
  private let sealed16 = hex(
    """
    522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa
    8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662 76fc6ece0f4e1768cddf8853bb2d551b
    """)

  @Test("seals the published vectors")
  func vectors() {
    let zeros = AESGCM(key: SecretBytes([UInt8](repeating: 0, count: 32)))
    let nonce = [UInt8](repeating: 0, count: 12)
    #expect(zeros.seal([], nonce: nonce, aad: []) == hex("530f8afbc74536b9a963b4f1c4cb738b"))
    #expect(
      zeros.seal([UInt8](repeating: 0, count: 16), nonce: nonce, aad: [])
        == hex("cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919"))
    #expect(AESGCM(key: SecretBytes(key16)).seal(plain16, nonce: nonce16, aad: aad16) == sealed16)
  }

  @Test("one instance gives the same results message after message, sealing and opening in turn")
  func reuse() {
    let cipher = AESGCM(key: SecretBytes(key16))
    for round in 0..<50 {
      let other = [UInt8](repeating: UInt8(round), count: round * 7)
      let nonce = SystemRandom.bytes(12)
      let sealed = cipher.seal(other, nonce: nonce, aad: [1])
      #expect(cipher.seal(plain16, nonce: nonce16, aad: aad16) == sealed16)
      #expect(cipher.open(sealed, nonce: nonce, aad: [1]) == other)
      #expect(cipher.open(sealed, nonce: nonce, aad: [2]) == nil)
      #expect(cipher.open(sealed16, nonce: nonce16, aad: aad16) == plain16)
    }
  }

  @Test("any flipped bit of text, tag, nonce or associated data is refused and nothing unauthenticated comes out")
  func flips() {
    let cipher = AESGCM(key: SecretBytes(key16))
    func opens(_ sealed: [UInt8], _ nonce: [UInt8], _ aad: [UInt8]) -> Bool {
      var plain = [UInt8](repeating: 0xff, count: sealed.count - 16)
      var span = plain.mutableSpan
      var raw = span.mutableBytes
      let opened = cipher.open(sealed.span.bytes, nonce: nonce, aad: aad.span.bytes, into: &raw)
      if !opened { #expect(plain.allSatisfy { $0 == 0 }) }
      return opened
    }
    #expect(opens(sealed16, nonce16, aad16))
    for bit in 0..<8 * sealed16.count { #expect(!opens(flipping(bit, in: sealed16), nonce16, aad16)) }
    for bit in 0..<8 * nonce16.count { #expect(!opens(sealed16, flipping(bit, in: nonce16), aad16)) }
    for bit in 0..<8 * aad16.count { #expect(!opens(sealed16, nonce16, flipping(bit, in: aad16))) }
    #expect(cipher.open([UInt8](sealed16.prefix(15)), nonce: nonce16, aad: aad16) == nil)
  }

  @Test("a page is sealed and opened where it lies, its tag apart from its text")
  func inPlace() {
    let cipher = AESGCM(key: SecretBytes(key16))
    let page = (0..<4096).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    var bytes = page
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    cipher.sealInPlace(&raw, text: 0..<4064, tag: 4080, nonce: nonce16.span.bytes, aad: aad16.span.bytes)
    let expected = cipher.seal(Array(page[..<4064]), nonce: nonce16, aad: aad16)
    #expect(Array(bytes[..<4064]) == Array(expected[..<4064]))
    #expect(Array(bytes[4064..<4080]) == Array(page[4064..<4080]))
    #expect(Array(bytes[4080...]) == Array(expected[4064...]))

    func opensInPlace(_ bytes: inout [UInt8]) -> Bool {
      var span = bytes.mutableSpan
      var raw = span.mutableBytes
      return cipher.openInPlace(&raw, text: 0..<4064, tag: 4080, nonce: nonce16.span.bytes, aad: aad16.span.bytes)
    }
    var damaged = flipping(77, in: bytes)
    #expect(!opensInPlace(&damaged))
    #expect(damaged[..<4064].allSatisfy { $0 == 0 })
    #expect(opensInPlace(&bytes))
    #expect(bytes[..<4064] == page[..<4064])
  }
}

func flipping(_ bit: Int, in bytes: [UInt8]) -> [UInt8] {
  var bytes = bytes
  bytes[bit / 8] ^= 1 << UInt8(bit % 8)
  return bytes
}
