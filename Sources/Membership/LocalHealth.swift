// How far this member may trust its own clock and ears (Lifeguard, LHA-Probe): a score that missed answers raise and
// answers lower, plus what its loop and disk say of themselves. Whoever is slow waits longer before accusing others.

import Base

struct LocalHealth: Sendable {
  private(set) var score = 0
  private var strain = 0
  private let most: Int

  init(most: Int) { self.most = most }

  /// From 1 to `most` + 1: stretches probe periods and timeouts.
  var multiplier: Int { 1 + min(most, score + strain) }

  mutating func add(_ delta: Int) { score = min(max(score + delta, 0), most) }

  mutating func take(_ sample: HealthSample, _ configuration: SwimConfiguration) {
    func points(_ measured: Interval, _ limit: Interval) -> Int {
      limit <= .zero ? 0 : measured > limit * 2 ? 2 : measured > limit ? 1 : 0
    }
    strain =
      points(sample.loopLag, configuration.loopLagLimit) + points(sample.syncLatency, configuration.syncLimit)
  }
}
