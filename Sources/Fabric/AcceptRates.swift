// How often each source address may call: a token bucket per address, in a table of bounded size.
//
// Addresses of one IPv6 /64 are one source, for whoever has one has all of them. When the table is full of sources that
// are in debt, all further ones share one bucket.

import UVLoop

package struct AcceptRates: Sendable {
  static let sourcesMax = 4096
  private let rate: Int
  private let burst: Int
  private var sources: [[UInt8]: TokenBucket] = [:]
  private var others: TokenBucket
  private var lastPrune = FabricInstant.min

  package init(rate: Int, burst: Int) {
    (self.rate, self.burst) = (rate, burst)
    others = TokenBucket(rate: rate, burst: burst, at: 0)
  }

  /// What stands for all addresses of one source.
  static func key(_ source: [UInt8]) -> [UInt8] { Array(source.prefix(8)) }

  /// `source`: the address's bytes, 4 or 16.
  package mutating func take(_ source: [UInt8], at now: FabricInstant) -> Bool {
    let key = Self.key(source)
    if sources[key] != nil { return sources[key]!.take(at: now) }
    if sources.count >= Self.sourcesMax {
      prune(at: now)
      if sources.count >= Self.sourcesMax { return others.take(at: now) }
    }
    sources[key] = TokenBucket(rate: rate, burst: burst, at: now)
    return sources[key]!.take(at: now)
  }

  /// At most once a second, for it is asked at each call while the table is full.
  private mutating func prune(at now: FabricInstant) {
    guard lastPrune == .min || now >= lastPrune + 1_000_000_000 else { return }
    lastPrune = now
    sources = sources.filter { entry in
      var bucket = entry.value
      return !bucket.isFull(at: now)
    }
  }
}
