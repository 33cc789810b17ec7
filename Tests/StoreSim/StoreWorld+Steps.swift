// The steps, drawn one by one, and those that happen inside another's disk operation.

import Base
import Disk
import ShardStore
import Simulator

extension StoreWorld {
  func stepOnce() {
    if let account = dropped {
      dropped = nil
      if !random.oneIn(3) { return stepAfterDrop(account) }
    }
    let drawn = random.below(100)
    let account = anyAccount()
    switch drawn {
    case 0..<26: perform(.submit) { if let account { self.submit(account, self.drawChange(account)) } }
    case 26..<44: perform(.turn) { self.runTurn() }
    case 44..<59: perform(.flush) { _ = self.engine?.flushLog() }
    case 59..<63: perform(.split) { self.split() }
    case 63..<71: perform(.checkpoint) { if let account { self.checkpoint(account) } }
    case 71..<77: perform(.read) { if let account { self.read(account) } }
    case 77: perform(.read) { if let account { self.readAcrossSteps(account) } }
    case 78..<80: perform(.close) { if let account { self.closeIdle(account) } }
    case 80..<84: perform(.pin) { if let account { self.stepPin(account) } }
    case 84..<88: perform(.upload) { if let account { self.stepUpload(account) } }
    case 88..<93: perform(.session) { if let account { self.stepSession(account) } }
    case 93: perform(.collect) { if let account { self.collect(account) } }
    case 94: perform(.submit) { if let account { self.repeatKeyed(account) } }
    case 95, 96: perform(.clock) { self.advanceClock() }
    case 97: perform(.other) { self.createMissing() }
    default: perform(.fault) { self.stepFault() }
    }
    pump()
  }

  /// Another connection takes the places of what was dropped, before the writer's own looks again.
  private func stepAfterDrop(_ account: SimulatedAccount) {
    for _ in 0..<(1 + random.below(4)) where !isOver {
      perform(.session) { stepSession(account) }
      pump()
      perform(.turn) { runTurn() }
      pump()
    }
    perform(.flush) { _ = engine?.flushLog() }
    pump()
  }

  func perform(_ kind: Step, _ body: () -> Void) {
    let outer = step
    step = kind
    body()
    step = outer
  }

  /// Runs `body` as something that happens within the step in hand.
  func inside(_ body: () -> Void) {
    depth += 1
    let outer = step
    body()
    step = outer
    depth -= 1
  }

  private func split() {
    guard let engine else { return }
    for (id, error) in engine.splitLog() { heard(error, "split of \(id.bits >> 64)") }
    totals.note("log split")
  }

  private func checkpoint(_ account: SimulatedAccount) {
    guard let engine else { return }
    let force = random.oneIn(3)
    // Sometimes all of it at once, the mark's turn included, before the log is written again.
    let whole = depth == 0 && random.oneIn(4)
    if whole {
      isCheckpointing = engine.stepCheckpoint(account.id, force: force)
      for _ in 0..<min(turns.count, 3) where !isOver { perform(.turn) { runTurn() } }
    }
    for _ in 0..<(whole ? 40 : 1 + random.below(8)) where !isOver {
      isCheckpointing = engine.stepCheckpoint(account.id, force: force)
    }
    if isOver { return }
    // As maintenance does: pages and log go together.
    if random.oneIn(3) { split() }
  }

  private func closeIdle(_ account: SimulatedAccount) {
    guard let engine, account.pins.isEmpty, account.uploads.isEmpty, account.session.phase == .closed else { return }
    // As maintenance does with an account that nobody has used for a while.
    for _ in 0..<40 where !isOver {
      if !turns.isEmpty { runTurn() }
      if !engine.flushLog(), !engine.stepCheckpoint(account.id, force: true), turns.isEmpty { break }
    }
    if isOver { return }
    if engine.closeIdle(account.id) {
      totals.note("account closed and opened")
      note("\(account.oracle.id.bits >> 64): closed")
    }
  }

  private func advanceClock() {
    clock.advance(microseconds: Int64(random.below(200_000)))
    let isQuiet = accounts.allSatisfy { $0.uploads.isEmpty && $0.finished.isEmpty && $0.oracle.pendingCount == 0 }
    if isQuiet { clock.advance(microseconds: 100_000_000) }
  }

  func createMissing() {
    guard let engine, let account = accounts.first(where: { $0.existence == .no }) else { return }
    do {
      try engine.createAccountNow(account.id)
      account.existence = disk.isDead ? .perhaps : .yes
    } catch {
      account.existence = engine.hasAccount(account.id) && !disk.isDead ? .yes : .perhaps
      heard(error, "creation of \(account.oracle.id.bits >> 64)")
    }
    note("account \(account.oracle.id.bits >> 64) created: \(account.existence)")
  }

  private func stepFault() {
    if armed != nil {
      if random.oneIn(2) { heal() }
      return
    }
    let fault = InjectedFault.allCases[random.below(InjectedFault.allCases.count)]
    fault.inject(into: disk, using: &random)
    armed = (fault, disk.counts.failures)
    note("fault: \(fault)")
  }

  func heal() {
    guard let armed else { return }
    if disk.counts.failures > armed.failures { totals.note(armed.fault.family) }
    InjectedFault.heal(disk)
    note("healed")
    self.armed = nil
  }

  // MARK: within a disk operation

  /// The live engine's threads meet at disk operations; so do the steps here.
  func decide(_ operation: DiskOperation) -> DiskFault {
    if violation != nil { return .proceed }
    if stop?.isReached(by: operation) == true, let stop {
      noteStop(stop, operation)
      return .stop(stop.moment)
    }
    if operation.kind == .sync, operation.path.hasSuffix("redo.krdo"), step == .checkpoint {
      totals.note("checkpoint finished")
    }
    if depth == 0, engine != nil { meet(operation) }
    return .proceed
  }

  private func meet(_ operation: DiskOperation) {
    let file = operation.path.utf8.suffix(4)
    let odds: Int
    switch (step, String(decoding: file, as: UTF8.self)) {
    case (.flush, "klog") where operation.kind != .read: odds = 3
    case (.turn, "kpgs") where operation.kind == .read: odds = 10
    case (.checkpoint, "kpgs"), (.checkpoint, "krdo"): odds = operation.kind == .read ? 20 : 6
    case (.split, "kseg") where operation.kind != .read: odds = 4
    default: return
    }
    guard random.oneIn(odds) else { return }
    totals.note("step inside an operation")
    let from = step
    inside { for _ in 0..<(1 + self.random.below(3)) where !self.isOver { self.stepWithin(from) } }
  }

  private func stepWithin(_ outer: Step) {
    let account = anyAccount()
    switch random.below(8) {
    case 0..<3 where outer != .turn: perform(.turn) { runTurn() }
    case 3 where outer != .flush, 4 where outer != .flush: perform(.flush) { _ = engine?.flushLog() }
    case 5 where outer != .split && outer != .turn:
      perform(.submit) { if let account { submit(account, drawChange(account)) } }
    case 6 where outer != .split: perform(.read) { if let account { read(account) } }
    default: break
    }
  }

  /// What may happen while a read transaction is open.
  func stepBesideReader() {
    let account = anyAccount()
    switch random.below(10) {
    case 0..<3: perform(.submit) { if let account { submit(account, drawChange(account)) } }
    case 3, 4: perform(.turn) { runTurn() }
    case 5, 6: perform(.flush) { _ = engine?.flushLog() }
    case 7: perform(.split) { split() }
    default: perform(.checkpoint) { if let account { checkpoint(account) } }
    }
  }
}

extension FaultCounts {
  var failures: Int { failedSyncs + failedWrites + fullWrites + otherFailures }
}
