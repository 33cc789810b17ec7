// I1, I3, I4: a read sees every write that was acknowledged before the read began, in every later life too.

enum AcknowledgedWritesChecker {
  /// `before`: acknowledgements when the read began.
  static func check(_ journal: [Int], _ oracle: AccountOracle, before: Int) throws(Violation) {
    let seen = Set(journal)
    for serial in oracle.acknowledged[..<before] where !seen.contains(serial) {
      throw Violation(
        checker: "acknowledged writes", message: "transaction \(serial) was acknowledged and is not there")
    }
  }
}
