// When nothing happens, nothing is believed dead and little is sent: one probe and its answer per period.

import Base
import Membership

struct QuietChecker {
  private let began: Int64
  private let sentBefore: [Int]

  init(_ world: ClusterWorld) {
    began = world.now
    sentBefore = world.members.map(\.datagramsSent)
  }

  func check(_ world: ClusterWorld) throws(Violation) {
    if let difference = ConvergenceChecker.difference(world) {
      throw Violation(checker: "quiet", message: "views were right and are not any more: \(difference)")
    }
    let periods = (world.now - began) / world.plan.configuration.probePeriod.nanoseconds
    for number in world.running {
      let sent = world.members[number].datagramsSent - sentBefore[number]
      guard Int64(sent) <= periods * 3 + 20 else {
        throw Violation(
          checker: "quiet", message: "\(number) sent \(sent) datagrams in \(periods) periods without news")
      }
    }
  }
}
