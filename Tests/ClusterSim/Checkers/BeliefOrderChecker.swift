// What one process believes of another never goes back: a greater incarnation, or a graver word about the same one.

import Formats
import Membership

struct BeliefOrderChecker {
  private var beliefs: [[(incarnation: Incarnation, standing: Member.Standing)?]]

  init(count: Int) { beliefs = Array(repeating: Array(repeating: nil, count: count), count: count) }

  mutating func started(_ number: Int) {
    for subject in beliefs[number].indices { beliefs[number][subject] = nil }
  }

  mutating func check(_ number: Int, about subject: Int, _ belief: Belief) throws(Violation) {
    if let before = beliefs[number][subject], belief.standing != .left,
      (belief.incarnation, belief.standing) < (before.incarnation, before.standing), before.standing != .left
    {
      throw Violation(
        checker: "order of beliefs",
        message: "\(number) goes from \(before) to \(belief.standing) at \(belief.incarnation) about \(subject)")
    }
    beliefs[number][subject] = (belief.incarnation, belief.standing)
  }
}
