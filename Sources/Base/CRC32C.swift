// CRC-32C (Castagnoli, RFC 3720 appendix B.4): finds flipped bits in blocks whose content is sealed anyway.
//
// Sliced by eight, since every byte of the commit log passes through it. It is no protection against an adversary; the
// seal and the chain are.

public enum CRC32C {
  private static let tables: [[UInt32]] = {
    var t = [[UInt32]](repeating: [UInt32](repeating: 0, count: 256), count: 8)
    for i in 0..<256 {
      var c = UInt32(i)
      for _ in 0..<8 { c = c & 1 == 1 ? (c >> 1) ^ 0x82F6_3B78 : c >> 1 }
      t[0][i] = c
    }
    for i in 0..<256 { for k in 1..<8 { t[k][i] = (t[k - 1][i] >> 8) ^ t[0][Int(t[k - 1][i] & 255)] } }
    return t
  }()
  private static let flat: [UInt32] = tables.flatMap { $0 }

  /// The checksum of `bytes`, or of what gave `seed` followed by `bytes`.
  public static func checksum(_ bytes: RawSpan, seed: UInt32 = 0) -> UInt32 {
    unsafe flat.withUnsafeBufferPointer { table in
      var crc = ~seed
      var i = 0
      let count = bytes.byteCount
      while i + 8 <= count {
        let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self).littleEndian
        let low = UInt32(truncatingIfNeeded: word) ^ crc
        let high = UInt32(truncatingIfNeeded: word >> 32)
        crc = unsafe table[1792 + Int(low & 255)] ^ table[1536 + Int((low >> 8) & 255)]
        crc ^= unsafe table[1280 + Int((low >> 16) & 255)] ^ table[1024 + Int(low >> 24)]
        crc ^= unsafe table[768 + Int(high & 255)] ^ table[512 + Int((high >> 8) & 255)]
        crc ^= unsafe table[256 + Int((high >> 16) & 255)] ^ table[Int(high >> 24)]
        i += 8
      }
      while i < count {
        let byte = unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self)
        crc = unsafe crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
        i += 1
      }
      return ~crc
    }
  }

  public static func checksum(_ bytes: [UInt8]) -> UInt32 { unsafe checksum(bytes.span.bytes) }
}
