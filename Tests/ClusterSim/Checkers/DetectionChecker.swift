// A member that dies in a calm cluster is known to be dead by all others within the bound of the timers, and the last of
// them hears of it soon after the first.

import Base
import Membership

struct DetectionChecker {
  let victim: Int
  let died: Int64
  private let configuration: SwimConfiguration
  private let count: Int
  private(set) var known: [Int: Int64] = [:]

  init(victim: Int, _ world: ClusterWorld) {
    self.victim = victim
    died = world.now
    configuration = world.plan.configuration
    count = world.running.count + 1
  }

  /// From the death: somebody probes it within two rounds at most, others confirm, and the least suspicion runs out,
  /// which may be twice as long for one whose health is not yet what it was.
  var bound: Int64 {
    let period = configuration.probePeriod.nanoseconds
    return Int64(2 * count + 4) * period + configuration.suspicionMin(count).nanoseconds * 2
  }

  /// From the first to know to the last.
  var spread: Int64 { 6 * configuration.gossipPeriod.nanoseconds + 300_000_000 }

  mutating func heard(_ number: Int, _ news: MembershipNews, at now: Int64, _ world: ClusterWorld) {
    if case .dead(let member) = news, world.number(of: member.node) == victim, known[number] == nil {
      known[number] = now
    }
  }

  func check(_ world: ClusterWorld) throws(Violation) {
    let others = world.running
    guard others.allSatisfy({ known[$0] != nil }) else {
      throw Violation(
        checker: "detection",
        message: "\(known.count) of \(others.count) know of \(victim) after \(bound / 1_000_000) ms")
    }
    let times = others.compactMap { known[$0] }
    guard let first = times.min(), let last = times.max(), last - first > spread else { return }
    let late = (last - first) / 1_000_000
    throw Violation(
      checker: "detection",
      message: "the last heard of \(victim) \(late) ms after the first, not \(spread / 1_000_000)")
  }
}
