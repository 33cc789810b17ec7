// The lives of the node: opening on what a crash left, a stretch of steps, an end; and the last one, in which the disk
// is whole again and everything promised must be there.

import Base
import Disk
import Formats
import ShardStore
import Simulator

extension StoreWorld {
  package func run() {
    let lives = 2 + random.below(4)
    for _ in 0..<lives where violation == nil {
      guard openNode(mayCrash: life > 0) else { break }
      runLife()
      endLife()
    }
    if violation == nil, openNode(mayCrash: false) {
      stop = nil
      makeProgress()
      if !isOver { verifyAll() }
      shutDown()
    }
    totals.disk = disk.counts
    engine = nil
  }

  private func runLife() {
    while life == 1, accounts.contains(where: { $0.existence == .no }), !isOver, !random.oneIn(8) { createMissing() }
    for account in existing where !isOver && !random.oneIn(3) { read(account, integrity: random.oneIn(3)) }
    if !random.oneIn(5) {
      stop = StopPlan(using: &random)
      note("plan: \(stop!)")
    }
    for account in existing where !isOver && random.oneIn(2) { stepSession(account) }
    let steps = 20 + random.below(100)
    for _ in 0..<steps where !isOver { stepOnce() }
    if !isOver, random.oneIn(4) {
      stop = nil
      makeProgress()
    }
  }

  // MARK: opening

  /// False when a violation ends the run. A crash while opening leads to another opening.
  private func openNode(mayCrash: Bool) -> Bool {
    life += 1
    for attempt in 0..<3 {
      stop = nil
      if mayCrash, attempt < 2, random.oneIn(4) {
        var plan = StopPlan(using: &random)
        plan.place = random.oneIn(2) ? .anything : [.segmentWrite, .segmentSync, .segmentCreate][random.below(3)]
        plan.nth = 1 + random.below(plan.place == .anything ? 12 : 2)
        stop = plan
      }
      do {
        engine = try makeEngine()
        checkAccounts()
        if violation == nil { return true }
      } catch {
        guard disk.isDead else {
          report(Violation(checker: "opening", message: "the node does not open after \(trace.count) steps: \(error)"))
          return false
        }
        note("crash during recovery")
        totals.note("crash during recovery")
        replaceDisk(random.oneIn(4) ? disk.kill() : disk.crash())
      }
    }
    return violation == nil
  }

  private func checkAccounts() {
    guard let engine else { return }
    for account in accounts {
      let isThere = engine.hasAccount(account.id)
      if account.existence == .yes, !isThere {
        report(Violation(checker: "opening", message: "account \(account.id) was created and is gone"))
      }
      account.existence = isThere ? .yes : .no
    }
  }

  // MARK: endings

  func noteStop(_ stop: StopPlan, _ operation: DiskOperation) {
    note("the machine stops \(stop.moment) \(operation)")
    totals.note("crash at \(stop.place.rawValue)")
    totals.note("crash at \(stop.place.rawValue), \(stop.moment)")
  }

  private func endLife() {
    if violation != nil { return }
    if disk.isDead || !random.oneIn(3) {
      let wasStopped = disk.isDead
      notePhases()
      disk.stop()
      drain()
      // Where the machine stopped, perhaps only the process did.
      let isKill = wasStopped && random.oneIn(4)
      note(isKill ? "killed in an operation" : wasStopped ? "crash" : "crash between two steps")
      totals.note(isKill ? "life ended by kill" : "life ended by crash")
      replaceDisk(isKill ? disk.kill() : disk.crash())
    } else if random.oneIn(2) {
      notePhases()
      let next = disk.kill()
      drain()
      note("killed")
      totals.note("life ended by kill")
      replaceDisk(next)
    } else {
      shutDown()
      totals.note("life ended by close")
      let wasStopped = disk.isDead
      replaceDisk(wasStopped || random.oneIn(2) ? disk.crash() : disk.kill())
    }
  }

  private func notePhases() {
    if accounts.contains(where: { $0.oracle.pendingCount > 0 }) { totals.note("crash with pending writes") }
    if isCheckpointing { totals.note("crash during a checkpoint") }
    if accounts.contains(where: { $0.session.phase == .inTransaction }) { totals.note("crash with a session open") }
  }

  /// What the dead process's threads would still have done; nobody hears of it.
  private func drain() {
    for account in accounts {
      account.pins = []
      account.uploads = []
    }
    for _ in 0..<500 {
      pump()
      if !turns.isEmpty {
        turns.removeFirst()()
      } else if engine?.flushLog() != true {
        break
      }
    }
    for account in accounts { account.forgetHandles() }
    dropped = nil
    pump()
    // On a dead disk it only lets go of what the engine's parts hold of each other.
    engine?.close()
    turns = []
    reads = []
    engine = nil
  }

  private func shutDown() {
    heal()
    for account in accounts {
      account.pins = []
      account.uploads = []
      if account.session.phase == .inTransaction || account.session.phase == .idle { closeSession(account) }
    }
    pump()
    note("closed")
    engine?.close()
    // The turns that are left find the account closed.
    drain()
  }

  private func replaceDisk(_ next: ForgetfulDisk) {
    engine = nil
    armed = nil
    isCheckpointing = false
    disk = next
    disk.capacityBytes = nil
    let files = ((try? disk.list(configuration.logDirectory)) ?? []).compactMap { name in
      LogImage((try? disk.readAll("\(configuration.logDirectory)/\(name)", limit: 1 << 30)) ?? [])
    }
    let oldest = files.max { $0.header.generation < $1.header.generation }?.header.oldestLive ?? 0
    // Files that the newest one declares free hold nothing that anybody will read again.
    let live = files.filter { $0.header.generation >= oldest }
    for file in live { note("on the disk: \(file)") }
    let found = Set(live.flatMap { $0.records.map(\.checksum) })
    indexes.forgetLost(found: found) { place in
      accounts.first { $0.id == place.account }.map { place.index <= $0.oracle.position.index } ?? false
    }
  }

  // MARK: progress

  /// Every fault has ended: each account must take a write.
  func makeProgress() {
    heal()
    for account in existing where !isOver {
      var last = "nothing was tried"
      var serial: Int?
      var done = false
      for _ in 0..<ProgressChecker.roundsMax where !done && !isOver {
        if let tried = serial, account.oracle.transactions[tried].fate == .acknowledged {
          done = true
        } else if serial.map({ account.oracle.transactions[$0].fate != .pending }) ?? true {
          last = serial.map { "transaction \($0) \(account.oracle.transactions[$0].fate)" } ?? last
          serial = account.oracle.transactions.count
          submitPlain(account)
        }
        settleRound()
      }
      if isOver { return }
      do { try ProgressChecker.check(succeeded: done, last: last) } catch { report(error) }
    }
  }

  private func submitPlain(_ account: SimulatedAccount) {
    let change = Change.put(keys: [random.below(120)], length: 50)
    let serial = account.oracle.submit(change)
    let life = life
    engine?.submit(account.id, { try change.run($0, serial: serial) }) { [unowned self] result in
      self.settle(account, serial, life, result.map(\.position), inOrder: true)
    }
  }

  private func settleRound() {
    for account in accounts where account.session.phase == .idle || account.session.phase == .inTransaction {
      closeSession(account)
    }
    pump()
    for _ in 0..<turns.count { perform(.turn) { runTurn() } }
    pump()
    perform(.flush) { while engine?.flushLog() == true {} }
    perform(.split) { for (id, error) in engine?.splitLog() ?? [] { heard(error, "split of \(id)") } }
    pump()
  }
}
