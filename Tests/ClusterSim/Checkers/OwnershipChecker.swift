// Nobody believes anything about an incarnation that its owner never had.

import Formats

struct OwnershipChecker {
  private var greatest: [Incarnation]

  init(count: Int) { greatest = [Incarnation](repeating: 0, count: count) }

  mutating func lived(_ number: Int, _ incarnation: Incarnation) {
    greatest[number] = max(greatest[number], incarnation)
  }

  func check(_ number: Int, about subject: Int, _ incarnation: Incarnation) throws(Violation) {
    guard incarnation <= greatest[subject] else {
      throw Violation(
        checker: "ownership",
        message: "\(number) speaks of \(subject) at \(incarnation), which was never above \(greatest[subject])")
    }
  }
}
