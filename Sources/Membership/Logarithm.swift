// Logarithms in thousandths from integers alone: no C library, and the same on every machine.

enum Logarithm {
  /// 1000 · log2(n), within one thousandth, by repeated squaring of the mantissa.
  static func binaryPermille(_ n: Int) -> Int {
    precondition(n > 0, "the logarithm of \(n)")
    let whole = UInt64.bitWidth - 1 - UInt64(n).leadingZeroBitCount
    // Mantissa in [1, 2) with 30 fractional bits; each squaring yields one bit of the fraction.
    var mantissa = whole <= 30 ? UInt64(n) << UInt64(30 - whole) : UInt64(n) >> UInt64(whole - 30)
    var fraction = 0
    for _ in 0..<14 {
      mantissa = mantissa * mantissa >> 30
      fraction <<= 1
      if mantissa >= 2 << 30 {
        mantissa >>= 1
        fraction |= 1
      }
    }
    return whole * 1000 + (fraction * 1000 + 8192) >> 14
  }

  /// 1000 · log10(n).
  static func decimalPermille(_ n: Int) -> Int { binaryPermille(n) * 30_103 / 100_000 }
}
