// The two reflected CRCs that S3 clients send and `Base` does not have: CRC-32 (ISO 3309) and CRC-64/NVME.
//
// Table-driven, one byte a step for the 64-bit one, eight bytes a step for CRC-32, which current boto3 sends with every
// upload.

enum CRC32 {
  private static let table: [UInt32] = {
    var t = [UInt32](repeating: 0, count: 8 * 256)
    for i in 0..<256 {
      var c = UInt32(i)
      for _ in 0..<8 { c = c & 1 == 1 ? (c >> 1) ^ 0xEDB8_8320 : c >> 1 }
      t[i] = c
    }
    for i in 256..<(8 * 256) { t[i] = (t[i - 256] >> 8) ^ t[Int(t[i - 256] & 255)] }
    return t
  }()

  static func checksum(_ bytes: RawSpan, seed: UInt32) -> UInt32 {
    var crc = ~seed
    let table = table
    var i = 0
    let count = bytes.byteCount
    while i + 8 <= count {
      let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt64.self).littleEndian
      let low = UInt32(truncatingIfNeeded: word) ^ crc
      let high = UInt32(truncatingIfNeeded: word >> 32)
      crc = table[1792 + Int(low & 255)] ^ table[1536 + Int((low >> 8) & 255)]
      crc ^= table[1280 + Int((low >> 16) & 255)] ^ table[1024 + Int(low >> 24)]
      crc ^= table[768 + Int(high & 255)] ^ table[512 + Int((high >> 8) & 255)]
      crc ^= table[256 + Int((high >> 16) & 255)] ^ table[Int(high >> 24)]
      i += 8
    }
    while i < count {
      let byte = unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self)
      crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
      i += 1
    }
    return ~crc
  }
}

enum CRC64NVME {
  private static let table: [UInt64] = (0..<256).map { i in
    (0..<8).reduce(UInt64(i)) { c, _ in c & 1 == 1 ? (c >> 1) ^ 0x9A6C_9329_AC4B_C9B5 : c >> 1 }
  }

  static func checksum(_ bytes: RawSpan, seed: UInt64) -> UInt64 {
    var crc = ~seed
    let table = table
    for i in 0..<bytes.byteCount {
      let byte = unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self)
      crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
    }
    return ~crc
  }
}
