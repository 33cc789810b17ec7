// OpenSSL's cryptographic generator, seeded by the system: for keys, nonces and ids.
//
// A call of RAND_bytes costs more than sealing a page, so short requests are served from a stock that each thread keeps.
// What was handed out is wiped from the stock at once; no process of ours forks without exec, so no two share one.

import COpenSSL

package struct SystemRandom: RandomNumberGenerator, Sendable {
  package init() {}

  package mutating func next() -> UInt64 {
    var word: UInt64 = 0
    withUnsafeMutableBytes(of: &word) { Self.fill($0) }
    return word
  }

  package static func bytes(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      fill(UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count))
      used = count
    }
  }

  package static func fill(_ span: inout MutableRawSpan) {
    span.withUnsafeMutableBytes { fill($0) }
  }

  private static func fill(_ buffer: UnsafeMutableRawBufferPointer) {
    guard buffer.count > 0 else { return }
    if buffer.count <= RandomStock.requestMax { stocks.value.take(buffer) } else { draw(buffer) }
  }

  private static let stocks = PerThread { RandomStock() }

  // A generator that cannot be seeded must never lead to a predictable key: the process ends.
  fileprivate static func draw(_ buffer: UnsafeMutableRawBufferPointer) {
    must(RAND_bytes(buffer.baseAddress!.assumingMemoryBound(to: UInt8.self), Int32(buffer.count)), "RAND_bytes")
  }
}

private final class RandomStock {
  static let requestMax = 64
  private static let count = 1024
  private let stock = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
  private var used = count

  func take(_ buffer: UnsafeMutableRawBufferPointer) {
    if used + buffer.count > Self.count {
      SystemRandom.draw(stock)
      used = 0
    }
    let part = UnsafeMutableRawBufferPointer(rebasing: stock[used..<(used + buffer.count)])
    buffer.copyMemory(from: UnsafeRawBufferPointer(part))
    OPENSSL_cleanse(part.baseAddress, part.count)
    used += buffer.count
  }

  deinit {
    OPENSSL_cleanse(stock.baseAddress, stock.count)
    stock.deallocate()
  }
}
