// The state is exactly what the journal's transactions make of an empty database: none torn, none missing.

enum ReplayChecker {
  /// Gives the state that the journal makes.
  static func check(_ observation: Observation, _ oracle: AccountOracle) throws(Violation) -> AccountState {
    let expected = oracle.replay(observation.journal)
    if let difference = observation.state.difference(from: expected) {
      throw Violation(
        checker: "replay",
        message: "after \(observation.journal.count) transactions, the last of them "
          + "\(observation.journal.suffix(3)), \(difference)")
    }
    return expected
  }
}
