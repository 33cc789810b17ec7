// I10: what was reported as not applied, or failed, has no effect, ever; nothing is there that nobody asked for.

enum RefusedWritesChecker {
  static func check(_ journal: [Int], _ oracle: AccountOracle) throws(Violation) {
    for serial in journal {
      guard oracle.transactions.indices.contains(serial) else {
        throw Violation(checker: "refused writes", message: "transaction \(serial) is there and nobody asked for it")
      }
      if oracle.transactions[serial].fate == .refused {
        throw Violation(checker: "refused writes", message: "transaction \(serial) is there and was said not to be")
      }
      if case .failing(let failure) = oracle.transactions[serial].change {
        throw Violation(checker: "refused writes", message: "transaction \(serial) is there and must fail: \(failure)")
      }
    }
  }
}
