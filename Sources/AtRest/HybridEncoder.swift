// Codes planes as ``HybridCoder`` says. Loops are written so that they are vectorised: no branches, no calls, no traps.

import Formats

struct HybridEncoder {
  private let planes: AudioPlanes
  private var shifts: [UInt8] = []
  private var blocks: [UInt8] = []
  private var escapes: [UInt8] = []
  /// Of one group at a time.
  private var symbols = [UInt8](repeating: 0, count: HybridCoder.groupNumbers)
  private var groups: [UInt8] = []
  private var low: [UInt8] = []

  static func encode(_ planes: AudioPlanes, widths: [Int]) -> [UInt8] {
    var encoder = HybridEncoder(planes)
    for channel in 0..<planes.channels { encoder.put(planes[channel], width: widths[channel]) }
    var payload: [UInt8] = []
    payload.reserveCapacity(encoder.groups.count + encoder.low.count + 256)
    append(encoder.shifts + encoder.blocks + encoder.escapes, to: &payload)
    return payload + encoder.groups + encoder.low
  }

  private init(_ planes: AudioPlanes) {
    self.planes = planes
    groups.reserveCapacity(planes.channels * planes.sampleFrames)
  }

  /// The length of a zstd frame, then the frame.
  private static func append(_ content: [UInt8], to bytes: inout [UInt8]) {
    Zstd.compress(content, level: 1) { frame in
      for shift in [0, 8, 16, 24] { bytes.append(UInt8(truncatingIfNeeded: frame.count >> shift)) }
      bytes.append(contentsOf: frame)
    }
  }

  private mutating func put(_ plane: UnsafeMutablePointer<Int32>, width: Int) {
    let count = planes.sampleFrames
    let shift = width == 8 ? 0 : Self.dropWastedBits(plane, count)
    shifts.append(UInt8(shift))
    withUnsafeTemporaryAllocation(of: Int32.self, capacity: HybridCoder.blockNumbers) { residuals in
      let residuals = residuals.baseAddress!
      for group in stride(from: 0, to: count, by: HybridCoder.groupNumbers) {
        let end = min(count, group + HybridCoder.groupNumbers)
        for start in stride(from: group, to: end, by: HybridCoder.blockNumbers) {
          putBlock(plane + start, min(HybridCoder.blockNumbers, end - start), start - group, width, residuals)
        }
        if end - group < symbols.count { symbols.removeLast(symbols.count - (end - group)) }
        Self.append(symbols, to: &groups)
      }
      symbols.append(contentsOf: repeatElement(0, count: HybridCoder.groupNumbers - symbols.count))
    }
  }

  private mutating func putBlock(
    _ numbers: UnsafePointer<Int32>, _ count: Int, _ symbol: Int, _ width: Int, _ residuals: UnsafeMutablePointer<Int32>
  ) {
    let order = Self.bestOrder(numbers, count)
    Self.difference(numbers, count, order: order, into: residuals)
    let lowBits = width == 8 ? put8(residuals, count, symbol) : put16(residuals, count, symbol)
    blocks.append(UInt8(order | lowBits << 2))
  }

  /// Low bits that are zero in every number, as in the sum of two G.711 legs.
  private static func dropWastedBits(_ plane: UnsafeMutablePointer<Int32>, _ count: Int) -> Int {
    var bits: Int32 = 0
    for i in 0..<count { bits |= plane[i] }
    let shift = bits == 0 ? 0 : min(15, bits.trailingZeroBitCount)
    if shift > 0 { for i in 0..<count { plane[i] >>= Int32(truncatingIfNeeded: shift) } }
    return shift
  }

  /// The predictor with the smallest sum of absolute residuals.
  private static func bestOrder(_ numbers: UnsafePointer<Int32>, _ count: Int) -> Int {
    @inline(__always) func magnitude(_ x: Int32) -> Int32 { (x ^ (x >> 31)) &- (x >> 31) }
    var (s0, s1, s2, s3): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
    for i in 0..<count {
      let (a, b, c, d) = (numbers[i], numbers[i - 1], numbers[i - 2], numbers[i - 3])
      s0 &+= magnitude(a)
      s1 &+= magnitude(a &- b)
      s2 &+= magnitude(a &- b &- b &+ c)
      s3 &+= magnitude(a &- d &- 3 &* (b &- c))
    }
    let sums = [s0, s1, s2, s3]
    return sums.indices.min { sums[$0] < sums[$1] }!
  }

  private static func difference(
    _ numbers: UnsafePointer<Int32>, _ count: Int, order: Int, into residuals: UnsafeMutablePointer<Int32>
  ) {
    let x = numbers
    switch order {
    case 0: for i in 0..<count { residuals[i] = x[i] }
    case 1: for i in 0..<count { residuals[i] = x[i] &- x[i - 1] }
    case 2: for i in 0..<count { residuals[i] = x[i] &- 2 &* x[i - 1] &+ x[i - 2] }
    default: for i in 0..<count { residuals[i] = x[i] &- x[i - 3] &- 3 &* (x[i - 1] &- x[i - 2]) }
    }
  }

  private mutating func put8(_ residuals: UnsafePointer<Int32>, _ count: Int, _ symbol: Int) -> Int {
    symbols.withUnsafeMutableBufferPointer { symbols in
      let out = symbols.baseAddress! + symbol
      for i in 0..<count { out[i] = UInt8(truncatingIfNeeded: residuals[i]) }
    }
    return 0
  }

  /// Residuals zigzag: 0, -1, 1, -2, … become 0, 1, 2, 3, …
  private mutating func put16(_ residuals: UnsafeMutablePointer<Int32>, _ count: Int, _ symbol: Int) -> Int {
    var sum: UInt32 = 0
    for i in 0..<count {
      let wrapped = Int32(Int16(truncatingIfNeeded: residuals[i]))
      let zigzag = (wrapped << 1) ^ (wrapped >> 31)
      residuals[i] = zigzag
      sum &+= UInt32(truncatingIfNeeded: zigzag)
    }
    let bits = Self.lowBits(mean: Int(sum) / count)
    let shift = Int32(truncatingIfNeeded: bits)
    var largest: Int32 = 0
    symbols.withUnsafeMutableBufferPointer { symbols in
      let out = symbols.baseAddress! + symbol
      for i in 0..<count {
        let high = residuals[i] >> shift
        largest = max(largest, high)
        out[i] = UInt8(truncatingIfNeeded: min(high, Int32(HybridCoder.escape)))
      }
    }
    if largest >= HybridCoder.escape { putEscapes(residuals, count, shift) }
    if bits > 0 { putLow(residuals, count, bits) }
    return bits
  }

  /// So many that the mean of what is left is below 12: few symbols, and those of them that occur often are short.
  private static func lowBits(mean: Int) -> Int {
    var bits = 0
    while bits < HybridCoder.lowBitsMax, mean >> bits >= 12 { bits += 1 }
    return bits
  }

  private mutating func putEscapes(_ residuals: UnsafePointer<Int32>, _ count: Int, _ shift: Int32) {
    for i in 0..<count where residuals[i] >> shift >= HybridCoder.escape {
      let high = residuals[i] >> shift
      escapes.append(UInt8(truncatingIfNeeded: high))
      escapes.append(UInt8(truncatingIfNeeded: high >> 8))
    }
  }

  /// Eight low parts at a time, the first in the lowest bits; the last eight are filled up with zeros.
  private mutating func putLow(_ residuals: UnsafePointer<Int32>, _ count: Int, _ bits: Int) {
    let mask = UInt64(1) << UInt64(bits) - 1
    for start in stride(from: 0, to: count, by: 8) {
      var word: UInt64 = 0
      for j in 0..<min(8, count - start) {
        word |= (UInt64(truncatingIfNeeded: residuals[start + j]) & mask) << UInt64(truncatingIfNeeded: j * bits)
      }
      withUnsafeBytes(of: word.littleEndian) { low.append(contentsOf: $0.prefix(bits)) }
    }
  }
}
