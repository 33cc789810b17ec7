// Who left stays left: only a later incarnation brings a member back to whoever heard it go.

import Formats
import Membership

struct DepartureChecker {
  private var left: [[Incarnation?]]

  init(count: Int) { left = Array(repeating: Array(repeating: nil, count: count), count: count) }

  mutating func started(_ number: Int) {
    for subject in left[number].indices { left[number][subject] = nil }
  }

  mutating func check(_ number: Int, about subject: Int, _ belief: Belief) throws(Violation) {
    if let gone = left[number][subject], belief.incarnation <= gone, belief.standing != .left {
      throw Violation(
        checker: "departures",
        message: "\(number) heard \(subject) leave at \(gone) and calls it \(belief.standing) at \(belief.incarnation)")
    }
    if belief.standing == .left { left[number][subject] = belief.incarnation }
  }
}
