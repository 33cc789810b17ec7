// How much somebody may have per second, with a burst. Pure: instants are arguments.

package struct TokenBucket: Sendable {
  private let rate: Double
  private let burst: Double
  private var tokens: Double
  private var at: FabricInstant

  /// `rate` a second; `burst` at once.
  package init(rate: Int, burst: Int, at now: FabricInstant) {
    self.rate = Double(max(rate, 1))
    self.burst = Double(max(burst, 1))
    tokens = self.burst
    at = now
  }

  /// Takes one if there is one.
  package mutating func take(at now: FabricInstant) -> Bool {
    fill(at: now)
    guard tokens >= 1 else { return false }
    tokens -= 1
    return true
  }

  /// Takes `count`, as a debt where need be, and gives 0; or takes nothing while there is a debt, and gives the
  /// nanoseconds until it is paid.
  package mutating func borrow(_ count: Int, at now: FabricInstant) -> Int64 {
    fill(at: now)
    guard tokens > 0 else { return Int64((-tokens / rate * 1e9).rounded(.up)) + 1 }
    tokens -= Double(count)
    return 0
  }

  /// Nothing would be lost by forgetting it.
  package mutating func isFull(at now: FabricInstant) -> Bool {
    fill(at: now)
    return tokens >= burst
  }

  private mutating func fill(at now: FabricInstant) {
    tokens = min(burst, tokens + Double(max(now - at, 0)) / 1e9 * rate)
    at = max(at, now)
  }
}
