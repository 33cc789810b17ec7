// Once the faults have ended, a write succeeds within a bounded number of steps.

enum ProgressChecker {
  static let roundsMax = 60

  static func check(succeeded: Bool, last: String) throws(Violation) {
    if !succeeded {
      throw Violation(
        checker: "progress",
        message: "no write succeeded in \(roundsMax) rounds after the faults had ended; last: \(last)")
    }
  }
}
