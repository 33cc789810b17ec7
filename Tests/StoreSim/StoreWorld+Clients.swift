// What clients ask of the node: writes of every kind, reads, pinned views, sessions, uploads.

import Base
import SQLite
import ShardStore
import Simulator

extension StoreWorld {
  var existing: [SimulatedAccount] { accounts.filter { $0.existence == .yes } }

  func anyAccount() -> SimulatedAccount? {
    let there = existing
    return there.isEmpty ? nil : there[random.below(there.count)]
  }

  // MARK: writes

  func drawChange(_ account: SimulatedAccount) -> Change {
    let start = random.below(120)
    switch random.below(40) {
    case 0..<14: return .put(keys: [start], length: 20 + random.below(900))
    case 14..<20:
      let keys = (0..<(2 + random.below(12))).map { _ in random.below(120) }
      return .put(keys: keys, length: 40 + random.below(700))
    case 20..<26: return .increment(start...(start + random.below(60)))
    case 26..<29: return .remove(start...(start + random.below(8)))
    case 29..<32: return .table(number: random.below(4))
    case 32..<34: return .removeRecording(key: "call \(random.below(4))")
    case 34: return .large(rows: random.oneIn(12) ? 2_200 : 20 + random.below(160))
    default: return .failing(Change.Failure.allCases[random.below(Change.Failure.allCases.count)])
    }
  }

  func submit(_ account: SimulatedAccount, _ change: Change) {
    let serial = account.oracle.submit(change)
    note("\(account.oracle.id.bits >> 64): transaction \(serial), \(change.label)")
    if case .large = change { totals.note("large write") }
    if case .failing = change { totals.note("failing member") }
    if case .failing = change {} else if random.oneIn(12) { return submitKeyed(account, serial, change) }
    let life = life
    engine?.submit(account.id, { try change.run($0, serial: serial) }) { [unowned self] result in
      self.settle(account, serial, life, result.map(\.position), inOrder: true)
    }
  }

  private func submitKeyed(_ account: SimulatedAccount, _ serial: Int, _ change: Change) {
    guard let engine else { return }
    if !account.keyed.contains(serial) { account.keyed.append(serial) }
    let (life, id) = (life, account.id)
    let key = Idempotency(key: "request \(serial)", requestHash: [UInt8(truncatingIfNeeded: serial)])
    task { [unowned self] in
      do {
        let answer = try await engine.write(id, idempotency: key) { connection in
          try change.run(connection, serial: serial)
          return [1]
        }
        self.settle(account, serial, life, .success(answer.position))
      } catch { self.settle(account, serial, life, .failure(error)) }
    }
  }

  /// Sends a request again that was answered, perhaps in an earlier life.
  func repeatKeyed(_ account: SimulatedAccount) {
    let answered = account.keyed.filter { account.oracle.transactions[$0].fate != .pending }
    guard !answered.isEmpty else { return }
    let serial = answered[random.below(answered.count)]
    totals.note("idempotent repeat")
    note("\(account.oracle.id.bits >> 64): transaction \(serial) again")
    account.oracle.reopen(serial)
    submitKeyed(account, serial, account.oracle.transactions[serial].change)
  }

  /// `inOrder`: the reply came straight from the engine. A task hears its own later, when others may have heard more.
  func settle(
    _ account: SimulatedAccount, _ serial: Int, _ from: Int, _ result: Result<Position, any Error>,
    inOrder: Bool = false
  ) {
    guard from == life, !disk.isDead else { return }
    let change = account.oracle.transactions[serial].change
    switch result {
    case .success(let position):
      note("transaction \(serial) acknowledged at \(position)")
      account.oracle.settle(serial, .acknowledged)
      totals.note("write acknowledged")
      noteEffect(change)
      if case .failing = change { report(Violation(checker: "refused writes", message: "\(serial) was acknowledged")) }
      if inOrder { notePosition(position, account) }
    case .failure(let error):
      heard(error, "transaction \(serial)")
      let isUnknown = (error as? StoreError)?.code == .unknown
      account.oracle.settle(serial, isUnknown ? .unknown : .refused)
      totals.note(isUnknown ? "write unknown" : "write refused")
      if isUnknown {
        totals.note("drop of pending records")
        dropped = account
      }
    }
  }

  private func noteEffect(_ change: Change) {
    switch change {
    case .table: totals.note("table made or dropped")
    case .recording: totals.note("recording put")
    case .removeRecording: totals.note("recording deleted")
    default: break
    }
  }

  func notePosition(_ position: Position, _ account: SimulatedAccount) {
    do { try PositionChecker.check(position, after: account.oracle.position) } catch { report(error) }
    account.oracle.position = position
  }

  // MARK: uploads

  func stepUpload(_ account: SimulatedAccount) {
    do {
      if let (stored, recording) = account.finished.popLast() {
        return submit(account, .recording(key: "call \(random.below(4))", stored, recording))
      }
      if account.uploads.isEmpty || random.oneIn(4) { return try beginUpload(account) }
      let i = random.below(account.uploads.count)
      let open = account.uploads[i]
      let count = min(open.recording.count - open.sent, 200_000)
      if count > 0 {
        try open.upload.appendNow(Array(open.recording.bytes[open.sent..<(open.sent + count)]))
        account.uploads[i].sent += count
        return
      }
      account.uploads.remove(at: i)
      if random.oneIn(8) { return }
      let stored = try open.upload.finishNow()
      note("recording \(open.recording.id) finished")
      if !disk.isDead { account.finished.append((stored, open.recording)) }
    } catch {
      heard(error, "upload")
      account.uploads = []
    }
  }

  private func beginUpload(_ account: SimulatedAccount) throws {
    guard let engine else { return }
    let size = random.oneIn(12) ? 262_144 + random.below(4_000) : 1 + random.below(5_000)
    let recording = SimulatedRecording(id: RecordingID(from: &random), seed: random.next(), count: size)
    let upload = try engine.uploadNow(account.id, recording: recording.id)
    account.uploads.append(.init(upload: upload, recording: recording))
  }

  func collect(_ account: SimulatedAccount) {
    guard let engine, !account.collecting else { return }
    account.collecting = true
    let (id, from) = (account.id, life)
    task { [unowned self] in
      do {
        let freed = try await engine.collectRecordings(id, grace: .seconds(60), keepDeleted: .seconds(20))
        if from == self.life, !self.disk.isDead {
          self.totals.note("collection")
          self.note("collected \(freed.recordings) recordings")
        }
      } catch { if from == self.life { self.heard(error, "collection") } }
      if from == self.life { account.collecting = false }
    }
  }
}
