// CRC-32C and XXH64 against published values and against their own definition, byte by byte.

import Base
import Testing

struct ChecksumTests {
  @Test("CRC-32C gives the values of RFC 3720 appendix B.4")
  func publishedCRC() {
    #expect(CRC32C.checksum([]) == 0)
    #expect(CRC32C.checksum(Array("123456789".utf8)) == 0xE306_9283)
    #expect(CRC32C.checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CRC32C.checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
    #expect(CRC32C.checksum(Array(0..<32)) == 0x46DD_794E)
    #expect(CRC32C.checksum((0..<32).reversed()) == 0x113F_DB5C)
  }

  @Test(
    "CRC-32C of a length agrees with the polynomial taken bit by bit",
    // Short ones, and those in which lanes begin and end.
    arguments: Array(0...70) + [1024, 3071, 3072, 3073, 3080, 4096, 6143, 6144, 6145, 9999, 65536])
  func naiveCRC(count: Int) {
    var generator = SeededGenerator(seed: UInt64(count))
    let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    var naive: UInt32 = ~0
    for byte in bytes {
      naive ^= UInt32(byte)
      for _ in 0..<8 { naive = naive & 1 == 1 ? (naive >> 1) ^ 0x82F6_3B78 : naive >> 1 }
    }
    #expect(CRC32C.checksum(bytes) == ~naive)
  }

  @Test("CRC-32C of two parts, one after the other, is that of the whole")
  func continuedCRC() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * 31) }
    for cut in [0, 1, 7, 8, 9, 500, 1000] {
      let first = CRC32C.checksum(Array(bytes[..<cut]))
      #expect(CRC32C.checksum(Array(bytes[cut...]).span.bytes, seed: first) == CRC32C.checksum(bytes))
    }
  }

  @Test("one flipped bit always changes a CRC-32C")
  func flippedBit() {
    let bytes = (0..<600).map { UInt8(truncatingIfNeeded: $0 * 7) }
    let right = CRC32C.checksum(bytes)
    for bit in 0..<(600 * 8) {
      var wrong = bytes
      wrong[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(CRC32C.checksum(wrong) != right)
    }
  }

  // Computed with the reference implementation (xxHash 0.8).
  @Test("XXH64 gives the values of the reference implementation")
  func publishedXXH64() {
    let prime: UInt64 = 0x9E37_79B1
    let cases: [(bytes: [UInt8], seedless: UInt64, seeded: UInt64)] = [
      ([], 0xEF46_DB37_51D8_E999, 0xAC75_FDA2_929B_17EF),
      (Array("a".utf8), 0xD24E_C4F1_A98C_6E5B, 0x393D_A8B7_8992_279B),
      (Array("abc".utf8), 0x44BC_2CF5_AD77_0999, 0x1318_DF30_094A_85FD),
      (Array("123456789".utf8), 0x8CB8_41DB_40E6_AE83, 0x6BC4_32BF_21C3_E5E2),
      (Array("Nobody inspects the spammish repetition".utf8), 0xFBCE_A83C_8A37_8BF1, 0x56DB_22DD_5B05_1147),
      (Array(0..<64), 0xF7C6_7301_DB67_13F0, 0x6E54_5403_B828_CF8B),
      ((0..<1000).map { UInt8(truncatingIfNeeded: $0 * 7) }, 0x2527_5608_A9CF_C168, 0x9F86_F3C1_63E5_7A0E),
    ]
    for (bytes, seedless, seeded) in cases {
      #expect(XXH64.hash(bytes.span.bytes) == seedless, "\(bytes.count) bytes")
      #expect(XXH64.hash(bytes.span.bytes, seed: prime) == seeded, "\(bytes.count) bytes")
    }
  }

  @Test("XXH64 of every length up to 100 agrees with the reference, each seeded by the one before")
  func everyLength() {
    let bytes = [UInt8](0...100)
    var hash: UInt64 = 0
    for count in 0...100 { hash = XXH64.hash(Array(bytes[..<count]).span.bytes, seed: hash) }
    #expect(hash == 0x4550_DA8E_5E52_9859)
  }
}
