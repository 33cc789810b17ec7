// Nothing is sent under an incarnation that the disk does not cover yet.

import Formats

struct DurabilityChecker {
  func check(_ number: Int, _ incarnation: Incarnation, durable: Incarnation) throws(Violation) {
    guard incarnation <= durable else {
      throw Violation(checker: "durability", message: "\(number) sends \(incarnation), its disk has \(durable)")
    }
  }
}
