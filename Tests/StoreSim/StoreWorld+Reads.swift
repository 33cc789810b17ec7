// What readers see, and every checker of it.

import Base
import SQLite
import ShardStore
import Simulator

extension StoreWorld {
  func read(_ account: SimulatedAccount, integrity: Bool = false) {
    guard let engine else { return }
    let before = account.oracle.acknowledged.count
    do {
      let (seen, position) = try engine.readNow(account.id) { connection in
        if integrity { try IntegrityChecker.check(connection) }
        return try Observation(connection)
      }
      if disk.isDead { return }
      totals.note("read")
      if seen.journal.count != account.oracle.stable.count {
        note("\(account.oracle.id.bits >> 64): read \(seen.journal.count) transactions at \(position)")
      }
      try observe(account, seen, acknowledgedBefore: before)
      notePosition(position, account)
      if let recording = account.oracle.state.recordings.values.min(by: { $0.id < $1.id }), random.oneIn(3) {
        try RecordingChecker.check(engine, account.id, recording)
      }
    } catch { heard(error, "read") }
  }

  func observe(_ account: SimulatedAccount, _ seen: Observation, acknowledgedBefore before: Int) throws {
    let oracle = account.oracle
    try StableReadsChecker.check(seen.journal, oracle)
    try SingleEffectChecker.check(seen.journal)
    try RefusedWritesChecker.check(seen.journal, oracle)
    try AcknowledgedWritesChecker.check(seen.journal, oracle, before: before)
    try OrderChecker.check(seen.journal, oracle)
    oracle.settle(stable: seen.journal, try ReplayChecker.check(seen, oracle))
  }

  /// A read transaction that stays open while other things happen.
  func readAcrossSteps(_ account: SimulatedAccount) {
    guard let engine, depth == 0 else { return }
    let before = account.oracle.acknowledged.count
    do {
      _ = try engine.readNow(account.id) { connection in
        let first = try Observation(connection)
        if self.disk.isDead { return }
        try self.observe(account, first, acknowledgedBefore: before)
        self.inside { for _ in 0..<(2 + self.random.below(8)) where !self.isOver { self.stepBesideReader() } }
        if self.isOver { return }
        guard try Observation(connection) == first else {
          throw Violation(checker: "pinned views", message: "a read transaction saw two states")
        }
        self.totals.note("read across steps")
      }
    } catch { heard(error, "read across steps") }
  }

  func stepPin(_ account: SimulatedAccount) {
    guard let engine else { return }
    do {
      if account.pins.isEmpty || random.oneIn(3) && account.pins.count < 3 {
        return account.pins.append(try PinnedViewChecker(try engine.pinNow(account.id)))
      }
      let i = random.below(account.pins.count)
      try account.pins[i].check()
      totals.note("pinned view checked")
      if random.oneIn(2) { account.pins.remove(at: i) }
    } catch {
      heard(error, "pinned view")
      account.pins = []
    }
  }

  /// Every recording of every account, and the accounts' structure.
  func verifyAll() {
    guard let engine else { return }
    for account in existing where !isOver {
      read(account, integrity: true)
      do {
        for recording in account.oracle.state.recordings.values.sorted(by: { $0.id < $1.id }) {
          try RecordingChecker.check(engine, account.id, recording)
        }
      } catch {
        if disk.isDead { return }
        report((error as? Violation) ?? Violation(checker: "recordings", message: "\(error)"))
      }
    }
  }
}
