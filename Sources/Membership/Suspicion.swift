// One suspicion while it runs: who accuses, and until when the suspect may clear itself (Lifeguard, LHA-Suspicion).
//
// It starts long and shrinks with the logarithm of the number of independent accusers, so that one slow accuser can do
// little and many honest ones are quick.

import Base
import Formats

struct Suspicion: Sendable {
  let node: NodeID
  let incarnation: Incarnation
  /// Somebody has judged already: half of the least is enough.
  var isDeathTold = false
  private(set) var accusers: [NodeID]
  private var start: Instant
  private let wanted: Int
  private let least: Interval
  private let most: Interval

  /// `count`: members that are reachable, this one included.
  init(
    node: NodeID, incarnation: Incarnation, by accuser: NodeID, at now: Instant, count: Int, multiplier: Int,
    _ configuration: SwimConfiguration
  ) {
    self.node = node
    self.incarnation = incarnation
    accusers = [accuser]
    start = now
    // Suspect and first accuser confirm nothing.
    wanted = max(0, min(configuration.confirmationsWanted, count - 2))
    // Who is slow itself gives more time, but not so much that it keeps a wrong belief when its ears are back.
    least = configuration.suspicionMin(count) * min(multiplier, 2)
    most = least * configuration.suspicionSpread
  }

  var deadline: Instant {
    if isDeathTold { return start + least.permille(500) }
    guard wanted > 0 else { return start + least }
    let confirmations = min(accusers.count - 1, wanted)
    let share = Logarithm.binaryPermille(confirmations + 1) * 1000 / Logarithm.binaryPermille(wanted + 1)
    return start + max(least, most - (most - least).permille(share))
  }

  /// True when `accuser` is a new one that still counts: worth telling on.
  mutating func confirm(by accuser: NodeID) -> Bool {
    guard accusers.count <= wanted, !accusers.contains(accuser) else { return false }
    accusers.append(accuser)
    return true
  }

  mutating func postpone(by lost: Interval) { start = start + lost }
}
