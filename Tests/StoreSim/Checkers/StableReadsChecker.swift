// What a reader saw stays: every later journal begins with the one that was read before, whatever crashed meanwhile.

enum StableReadsChecker {
  static func check(_ journal: [Int], _ oracle: AccountOracle) throws(Violation) {
    guard journal.starts(with: oracle.stable) else {
      let common = zip(journal, oracle.stable).prefix { $0 == $1 }.count
      throw Violation(
        checker: "stable reads",
        message: "a reader saw \(oracle.stable.count) transactions; now \(journal.count) are there and differ from "
          + "place \(common): \(oracle.stable[common...].prefix(4)) became \(journal[common...].prefix(4))")
    }
  }
}
