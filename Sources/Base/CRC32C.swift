// CRC-32C (Castagnoli, RFC 3720 appendix B.4): finds flipped bits in blocks whose content is sealed anyway.
//
// Every byte of the commit log and of the volumes passes through it, so it is sliced by eight, and three lanes of a long
// input run side by side: a lane waits for its tables most of the time. It is no protection against an adversary; the
// seal and the chain are.

public enum CRC32C {
  /// Of each of the three lanes.
  private static let laneBytes = 1024
  private static let slicesCount = 8

  /// Eight tables of slices, then four that move a checksum over `laneBytes` zero bytes: one for each of its bytes.
  private static let tables: [UInt32] = {
    var t = [UInt32](repeating: 0, count: (slicesCount + 4) * 256)
    for i in 0..<256 {
      var c = UInt32(i)
      for _ in 0..<8 { c = c & 1 == 1 ? (c >> 1) ^ 0x82F6_3B78 : c >> 1 }
      t[i] = c
    }
    for i in 256..<(slicesCount * 256) { t[i] = (t[i - 256] >> 8) ^ t[Int(t[i - 256] & 255)] }
    // The move is linear: that of a byte is the sum of those of its bits.
    let bits = (0..<32).map { bit in
      (0..<laneBytes).reduce(UInt32(1) << UInt32(bit)) { c, _ in (c >> 8) ^ t[Int(c & 255)] }
    }
    for i in 0..<1024 {
      let (byte, value) = (i / 256, i % 256)
      t[slicesCount * 256 + i] = (0..<8).reduce(0) { value >> $1 & 1 == 1 ? $0 ^ bits[8 * byte + $1] : $0 }
    }
    return t
  }()

  /// The checksum of `bytes`, or of what gave `seed` followed by `bytes`.
  public static func checksum(_ bytes: RawSpan, seed: UInt32 = 0) -> UInt32 {
    let tables = tables
    let table = tables.span
    var crc = ~seed
    var i = 0
    let count = bytes.byteCount
    while i + 3 * laneBytes <= count {
      var (first, second, third) = (crc, UInt32(0), UInt32(0))
      for offset in stride(from: i, to: i + laneBytes, by: 8) {
        first = step(first, bytes, offset, table)
        second = step(second, bytes, offset + laneBytes, table)
        third = step(third, bytes, offset + 2 * laneBytes, table)
      }
      crc = moved(moved(first, table) ^ second, table) ^ third
      i += 3 * laneBytes
    }
    while i + 8 <= count {
      crc = step(crc, bytes, i, table)
      i += 8
    }
    while i < count {
      let byte = unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self)
      crc = crc >> 8 ^ table[Int(UInt8(truncatingIfNeeded: crc) ^ byte)]
      i += 1
    }
    return ~crc
  }

  public static func checksum(_ bytes: [UInt8]) -> UInt32 { unsafe checksum(bytes.span.bytes) }

  /// `crc` followed by the eight bytes at `offset`.
  @inline(__always)
  private static func step(
    _ crc: UInt32, _ bytes: RawSpan, _ offset: Int, _ table: Span<UInt32>
  ) -> UInt32 {
    let word = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian
    let low = UInt32(truncatingIfNeeded: word) ^ crc
    let high = UInt32(truncatingIfNeeded: word >> 32)
    func at(_ slice: Int, _ byte: UInt32) -> UInt32 { unsafe table[unchecked: slice * 256 + Int(byte & 255)] }
    let next = at(7, low) ^ at(6, low >> 8) ^ at(5, low >> 16) ^ at(4, low >> 24)
    return next ^ at(3, high) ^ at(2, high >> 8) ^ at(1, high >> 16) ^ at(0, high >> 24)
  }

  /// `crc` followed by `laneBytes` zero bytes.
  @inline(__always)
  private static func moved(_ crc: UInt32, _ table: Span<UInt32>) -> UInt32 {
    (0..<4).reduce(0) { $0 ^ table[(slicesCount + $1) * 256 + Int(crc >> UInt32(8 * $1) & 255)] }
  }
}
