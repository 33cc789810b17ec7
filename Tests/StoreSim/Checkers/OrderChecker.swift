// A transaction that was acknowledged before another was asked for comes before it.

enum OrderChecker {
  static func check(_ journal: [Int], _ oracle: AccountOracle) throws(Violation) {
    var place: [Int: Int] = [:]
    for (i, serial) in journal.enumerated() { place[serial] = i }
    // The last place of the first n acknowledged ones.
    var last = [-1]
    for serial in oracle.acknowledged { last.append(max(last.last!, place[serial] ?? -1)) }
    for (i, serial) in journal.enumerated() where last[oracle.transactions[serial].acknowledgedBefore] >= i {
      throw Violation(
        checker: "order", message: "transaction \(serial) comes before one that was acknowledged when it was asked for")
    }
  }
}
