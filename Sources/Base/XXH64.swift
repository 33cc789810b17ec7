// xxHash64 (Collet, https://github.com/Cyan4973/xxHash, the specification's "XXH64 algorithm"): compares page images.
//
// It tells whether a page rebuilt from a difference is the page that was written, at several GB/s. The record around it
// is sealed, so it need not resist an adversary.

public enum XXH64 {
  private static let p1: UInt64 = 0x9E37_79B1_85EB_CA87
  private static let p2: UInt64 = 0xC2B2_AE3D_27D4_EB4F
  private static let p3: UInt64 = 0x1656_67B1_9E37_79F9
  private static let p4: UInt64 = 0x85EB_CA77_C2B2_AE63
  private static let p5: UInt64 = 0x27D4_EB2F_1656_67C5

  @inline(__always) private static func rotate(_ x: UInt64, _ n: UInt64) -> UInt64 { x << n | x >> (64 - n) }
  @inline(__always) private static func round(_ acc: UInt64, _ lane: UInt64) -> UInt64 {
    rotate(acc &+ lane &* p2, 31) &* p1
  }

  public static func hash(_ bytes: [UInt8]) -> UInt64 { unsafe hash(bytes.span.bytes) }

  public static func hash(_ bytes: RawSpan, seed: UInt64 = 0) -> UInt64 {
    let count = bytes.byteCount
    var i = 0
    var h: UInt64
    @inline(__always) func word(_ at: Int) -> UInt64 {
      unsafe bytes.unsafeLoadUnaligned(fromByteOffset: at, as: UInt64.self).littleEndian
    }
    if count >= 32 {
      var (a, b, c, d) = (seed &+ p1 &+ p2, seed &+ p2, seed, seed &- p1)
      while i + 32 <= count {
        a = round(a, word(i))
        b = round(b, word(i + 8))
        c = round(c, word(i + 16))
        d = round(d, word(i + 24))
        i += 32
      }
      h = rotate(a, 1) &+ rotate(b, 7) &+ rotate(c, 12) &+ rotate(d, 18)
      h = (h ^ round(0, a)) &* p1 &+ p4
      h = (h ^ round(0, b)) &* p1 &+ p4
      h = (h ^ round(0, c)) &* p1 &+ p4
      h = (h ^ round(0, d)) &* p1 &+ p4
    } else {
      h = seed &+ p5
    }
    h = h &+ UInt64(count)
    while i + 8 <= count {
      h = rotate(h ^ round(0, word(i)), 27) &* p1 &+ p4
      i += 8
    }
    if i + 4 <= count {
      let half = unsafe bytes.unsafeLoadUnaligned(fromByteOffset: i, as: UInt32.self).littleEndian
      h = rotate(h ^ UInt64(half) &* p1, 23) &* p2 &+ p3
      i += 4
    }
    while i < count {
      h = rotate(h ^ UInt64(unsafe bytes.unsafeLoad(fromByteOffset: i, as: UInt8.self)) &* p5, 11) &* p1
      i += 1
    }
    h = (h ^ h >> 33) &* p2
    h = (h ^ h >> 29) &* p3
    return h ^ h >> 32
  }
}
