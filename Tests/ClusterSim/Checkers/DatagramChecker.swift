// A datagram fits into 1,178 bytes, and no member sends more of them in a second than its timers allow, however many
// members there are and whatever happens.

import Base
import Formats
import Membership

struct DatagramChecker {
  private var seconds: [(second: Int64, count: Int)]
  private let most: Int

  init(count: Int, _ configuration: SwimConfiguration) {
    seconds = [(Int64, Int)](repeating: (0, 0), count: count)
    // Probes of its own with their helpers, answers and relays for as many others, and gossip in each of its periods;
    // three times as much for what a pause has piled up and for words that must not wait.
    let periods = Int(1_000_000_000 / configuration.probePeriod.nanoseconds) + 1
    let gossips = Int(1_000_000_000 / configuration.gossipPeriod.nanoseconds) + 1
    let probes = (1 + configuration.urgentProbesPerPeriod) * (1 + configuration.indirectProbes)
    most = 3 * (3 * periods * probes + gossips * configuration.gossipFanout)
  }

  mutating func check(_ number: Int, _ bytes: [UInt8], at now: Int64) throws(Violation) {
    guard bytes.count <= 1178 else {
      throw Violation(checker: "datagrams", message: "\(number) sends \(bytes.count) bytes")
    }
    let second = now / 1_000_000_000
    if seconds[number].second != second { seconds[number] = (second, 0) }
    seconds[number].count += 1
    guard seconds[number].count <= most else {
      throw Violation(checker: "datagrams", message: "\(number) sends more than \(most) in one second")
    }
  }
}
