// An incarnation belongs to one life of a member: never sent again after a restart, and never lowered.

import Formats

struct IncarnationChecker {
  private var last: [(life: Int, incarnation: Incarnation)]

  init(count: Int) { last = [(Int, Incarnation)](repeating: (0, 0), count: count) }

  mutating func check(_ number: Int, life: Int, _ incarnation: Incarnation) throws(Violation) {
    let before = last[number]
    let isRight = life == before.life ? incarnation >= before.incarnation : incarnation > before.incarnation
    guard isRight else {
      throw Violation(
        checker: "incarnations",
        message: "\(number) sends \(incarnation) in life \(life) after \(before.incarnation) in life \(before.life)")
    }
    last[number] = (life, incarnation)
  }
}
