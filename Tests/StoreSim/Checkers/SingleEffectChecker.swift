// A transaction happens once, also when its request is repeated under its idempotency key.

enum SingleEffectChecker {
  static func check(_ journal: [Int]) throws(Violation) {
    var seen: Set<Int> = []
    for serial in journal where !seen.insert(serial).inserted {
      throw Violation(checker: "single effect", message: "transaction \(serial) is there twice")
    }
  }
}
