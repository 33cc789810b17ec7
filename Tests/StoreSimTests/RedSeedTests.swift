// Seeds that were red once, each with the fault of the engine that it found. They stay, whatever else is run.

import StoreSim
import Testing

@Suite struct RedSeedTests {
  struct RedSeed: Sendable, CustomTestStringConvertible {
    var seed: UInt64
    var story: String
    var testDescription: String { story }
  }

  static let seeds: [RedSeed] = [
    RedSeed(seed: 5, story: "the first block of a torn group is missing while later ones are there"),
    RedSeed(
      seed: 62, story: "an account opens again after a failed file while its old records are still on their way"),
    RedSeed(seed: 29, story: "a pinned view keeps a failed account from opening again"),
    RedSeed(seed: 193, story: "an upload keeps a failed account from opening again"),
    RedSeed(seed: 246, story: "the machine stops in the middle of a log write of an odd number of sectors"),
  ]

  @Test("a seed that was red stays green", arguments: seeds)
  func staysGreen(red: RedSeed) {
    let outcome = StoreSimulation.run(seed: red.seed)
    #expect(outcome.violation == nil, "\(red.story): \(outcome.trace.suffix(5))")
  }
}
