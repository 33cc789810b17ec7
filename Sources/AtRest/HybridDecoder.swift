// Decodes what ``HybridEncoder`` made, or refuses it: every length is checked before it is used, and the content of the
// zstd frame has a bound that the planes give.

import Formats
import Threads

struct HybridDecoder {
  private let planes: AudioPlanes
  /// Shifts, blocks, escapes: how far each was read.
  private var side: [UInt8] = []
  private var block = 0
  private var escape = 0
  /// Of one group at a time.
  private var symbols: [UInt8] = []
  private var groups: ArraySlice<UInt8>
  private var low: ArraySlice<UInt8>

  /// Fills the planes.
  static func decode(_ payload: ArraySlice<UInt8>, widths: [Int], into planes: AudioPlanes) throws(AtRestError) {
    var decoder = HybridDecoder(payload, planes)
    try decoder.takeSide(widths)
    for channel in 0..<planes.channels { try decoder.take(planes[channel], channel, width: widths[channel]) }
    guard decoder.escape == decoder.side.count, decoder.low.isEmpty else { throw damage("bytes too many") }
  }

  private static func damage(_ what: String) -> AtRestError { AtRestError(.damaged, "an audio chunk with \(what)") }

  private init(_ payload: ArraySlice<UInt8>, _ planes: AudioPlanes) {
    self.planes = planes
    groups = payload
    low = []
  }

  /// Checks what the frames and the low bits behind them must fit, and finds where the low bits begin.
  private mutating func takeSide(_ widths: [Int]) throws(AtRestError) {
    let blocks = HybridCoder.blocks(planes.sampleFrames)
    block = planes.channels
    escape = block + planes.channels * blocks
    side = try takeFrame(limit: escape + 2 * planes.channels * planes.sampleFrames)
    guard side.count >= escape else { throw Self.damage("too few blocks") }
    low = groups
    for _ in 0..<planes.channels * HybridCoder.groups(planes.sampleFrames) {
      low = low.dropFirst(4 + (try Self.length(low)))
    }
    for (channel, width) in widths.enumerated() {
      guard side[channel] < width, width == 16 || side[channel] == 0 else { throw Self.damage("a shift too wide") }
      let start = block + channel * blocks
      let lowBitsMax = width == 8 ? 0 : HybridCoder.lowBitsMax
      guard side[start..<start + blocks].allSatisfy({ $0 >> 2 <= lowBitsMax }) else {
        throw Self.damage("too many low bits")
      }
    }
  }

  private static func length(_ bytes: ArraySlice<UInt8>) throws(AtRestError) -> Int {
    guard bytes.count >= 4 else { throw damage("too few zstd frames") }
    let length = (0..<4).reduce(0) { $0 | Int(bytes[bytes.startIndex + $1]) << (8 * $1) }
    guard length <= bytes.count - 4 else { throw damage("a zstd frame that is longer than it") }
    return length
  }

  private mutating func takeFrame(limit: Int) throws(AtRestError) -> [UInt8] {
    let length = try Self.length(groups)
    let frame = Array(groups.dropFirst(4).prefix(length))
    groups = groups.dropFirst(4 + length)
    return try Zstd.decompress(frame, limit: limit)
  }

  private mutating func take(_ plane: UnsafeMutablePointer<Int32>, _ channel: Int, width: Int) throws(AtRestError) {
    for group in stride(from: 0, to: planes.sampleFrames, by: HybridCoder.groupNumbers) {
      let end = min(planes.sampleFrames, group + HybridCoder.groupNumbers)
      symbols = try takeFrame(limit: end - group)
      guard symbols.count == end - group else { throw Self.damage("too few symbols") }
      for start in stride(from: group, to: end, by: HybridCoder.blockNumbers) {
        try takeBlock(plane + start, min(HybridCoder.blockNumbers, end - start), start - group, width)
        IdlePause.take()
      }
    }
    let shift = Int32(side[channel])
    if shift > 0 { for i in 0..<planes.sampleFrames { plane[i] <<= shift } }
  }

  private mutating func takeBlock(
    _ numbers: UnsafeMutablePointer<Int32>, _ length: Int, _ symbol: Int, _ width: Int
  ) throws(AtRestError) {
    let (order, lowBits) = (Int(side[block] & 3), Int(side[block] >> 2))
    block += 1
    if width == 8 {
      symbols.withUnsafeBufferPointer { symbols in
        for i in 0..<length { numbers[i] = Int32(symbols[symbol + i]) }
      }
      Self.integrate(numbers, length, order: order) { Int32(Int8(truncatingIfNeeded: $0)) }
    } else {
      try takeResiduals(numbers, length, symbol, lowBits)
      Self.integrate(numbers, length, order: order) { Int32(Int16(truncatingIfNeeded: $0)) }
    }
  }

  private mutating func takeResiduals(
    _ numbers: UnsafeMutablePointer<Int32>, _ length: Int, _ symbol: Int, _ lowBits: Int
  ) throws(AtRestError) {
    var largest: UInt8 = 0
    symbols.withUnsafeBufferPointer { symbols in
      for i in 0..<length {
        let high = symbols[symbol + i]
        largest = max(largest, high)
        numbers[i] = Int32(high) << Int32(truncatingIfNeeded: lowBits)
      }
    }
    if largest == HybridCoder.escape { try takeEscapes(numbers, length, symbol, lowBits) }
    if lowBits > 0 { try takeLow(numbers, length, lowBits) }
    for i in 0..<length {
      let zigzag = numbers[i]
      numbers[i] = (zigzag >> 1) ^ (0 &- (zigzag & 1))
    }
  }

  private mutating func takeEscapes(
    _ numbers: UnsafeMutablePointer<Int32>, _ length: Int, _ symbol: Int, _ lowBits: Int
  ) throws(AtRestError) {
    for i in 0..<length where symbols[symbol + i] == HybridCoder.escape {
      guard escape + 2 <= side.count else { throw Self.damage("too few escapes") }
      let high = Int32(side[escape]) | Int32(side[escape + 1]) << 8
      numbers[i] = high << Int32(truncatingIfNeeded: lowBits)
      escape += 2
    }
  }

  private mutating func takeLow(
    _ numbers: UnsafeMutablePointer<Int32>, _ length: Int, _ bits: Int
  ) throws(AtRestError) {
    let count = HybridCoder.lowBytes(length, bits: bits)
    guard count <= low.count else { throw Self.damage("too few low bits") }
    let mask = UInt64(1) << UInt64(bits) - 1
    low.withUnsafeBufferPointer { bytes in
      var at = 0
      for start in stride(from: 0, to: length, by: 8) {
        var word: UInt64 = 0
        for j in 0..<bits { word |= UInt64(bytes[at + j]) << UInt64(truncatingIfNeeded: 8 * j) }
        at += bits
        for j in 0..<min(8, length - start) {
          numbers[start + j] |= Int32(truncatingIfNeeded: (word >> UInt64(truncatingIfNeeded: j * bits)) & mask)
        }
      }
    }
    low = low.dropFirst(count)
  }

  /// Residuals become numbers, on what stands before them; `wrap` cuts a sum to the numbers' width.
  @inline(__always)
  private static func integrate(
    _ numbers: UnsafeMutablePointer<Int32>, _ count: Int, order: Int, _ wrap: (Int32) -> Int32
  ) {
    let (a, b, c) = (numbers[-1], numbers[-2], numbers[-3])
    var (value, slope, bend) = (a, a &- b, a &- 2 &* b &+ c)
    switch order {
    case 0: for i in 0..<count { numbers[i] = wrap(numbers[i]) }
    case 1:
      for i in 0..<count {
        value &+= numbers[i]
        numbers[i] = wrap(value)
      }
    case 2:
      for i in 0..<count {
        slope &+= numbers[i]
        value &+= slope
        numbers[i] = wrap(value)
      }
    default:
      for i in 0..<count {
        bend &+= numbers[i]
        slope &+= bend
        value &+= slope
        numbers[i] = wrap(value)
      }
    }
  }
}
