// Drives an engine without threads: one thing after the other, so that the n-th operation is the same in every run.
// Everything that the engine answers is told to `tell` before the story goes on.

import AtRest
import Base
import Disk
import Formats
import SQLite
import ShardStore
import Threads

final class Driver: Sendable {
  typealias Tell = @Sendable (String) -> Void
  let engine: Engine
  private let jobs: Lock<[@Sendable () -> Void]>
  let tell: Tell

  init(_ configuration: EngineConfiguration, disk: any Disk, kek: any KeyEncryption, tell: @escaping Tell) throws {
    let jobs = Lock<[@Sendable () -> Void]>([])
    self.jobs = jobs
    self.tell = tell
    engine = try Engine.manual(
      configuration, disk: disk, kek: kek, clock: SystemClock(), runTurn: { job in jobs.with { $0.append(job) } },
      runRead: { $0() })
  }

  /// Runs turns and flushes the log until nothing is left.
  func pump() {
    while true {
      let ready = jobs.with { jobs in
        defer { jobs = [] }
        return jobs
      }
      for job in ready { job() }
      if !engine.flushLog(), ready.isEmpty { return }
    }
  }

  func create(_ account: Int) throws {
    tell("creating \(account)")
    try engine.createAccountNow(Content.account(account))
    let failure = Lock<(any Error)?>(nil)
    engine.submit(Content.account(account), { try $0.executeScript(Content.schema) }) { result in
      if case .failure(let error) = result { failure.with { $0 = error } }
    }
    pump()
    if let error = failure.with({ $0 }) { throw error }
    tell("account \(account)")
  }

  /// Queues a transaction; its answer is told when it comes.
  func submit(_ account: Int, tx: Int, parts: Int = 2, bytes: Int = 300) {
    let tell = tell
    engine.submit(
      Content.account(account),
      { try Content.write($0, account: account, tx: tx, parts: parts, bytes: bytes) }
    ) { result in
      switch result {
      case .success: tell("tx \(account) \(tx) \(parts)")
      case .failure(let error): Self.report(error, account: account, tx: tx, tell)
      }
    }
  }

  @discardableResult
  func write(_ account: Int, tx: Int, parts: Int = 2, bytes: Int = 300) -> Bool {
    let ok = Lock(false)
    let tell = tell
    engine.submit(
      Content.account(account),
      { try Content.write($0, account: account, tx: tx, parts: parts, bytes: bytes) }
    ) { result in
      switch result {
      case .success:
        ok.with { $0 = true }
        tell("tx \(account) \(tx) \(parts)")
      case .failure(let error): Self.report(error, account: account, tx: tx, tell)
      }
    }
    pump()
    return ok.with { $0 }
  }

  static func report(_ error: any Error, account: Int, tx: Int, _ tell: Tell) {
    refusal(error, tell)
    if let error = error as? StoreError, [.notApplied, .busy, .closed, .notFound, .tooLarge].contains(error.code) {
      tell("denied \(account) \(tx)")
    }
  }

  static func refusal(_ error: any Error, _ tell: Tell) {
    let code: String =
      switch error {
      case let error as StoreError: "\(error.code)"
      case let error as SQLiteError: "sqlite-\(error.code)"
      case let error as AtRestError: "keys-\(error.code)"
      default: "\(type(of: error))"
      }
    tell("refused \(code)")
    if error is StoreError || error is SQLiteError || error is AtRestError { return }
    if "\(type(of: error))" != "BackupError" { tell("problem unexpected error \(type(of: error)): \(error)") }
  }

  /// A recording with its row; gives what went wrong to the caller.
  func record(_ account: Int, number: Int, bytes: Int) throws {
    let upload = try engine.uploadNow(Content.account(account))
    let content = Content.recording(account: account, number: number, bytes: bytes)
    var at = 0
    while at < content.count {
      let end = min(content.count, at + 100_000)
      try upload.appendNow(Array(content[at..<end]))
      at = end
    }
    try putRow(account, number: number, stored: try upload.finishNow())
  }

  func putRow(_ account: Int, number: Int, stored: StoredRecording) throws {
    try commit(account) {
      try RecordingCatalog.put(
        $0, key: Content.recordingKey(number), stored, contentType: Content.recordingType(account), metadata: "{}",
        at: 1)
    }
    tell("recording \(account) \(number) \(stored.bytes)")
  }

  func checkpoint(_ account: Int) {
    let id = Content.account(account)
    _ = engine.stepCheckpoint(id, force: true)
    pump()
    var steps = 0
    while engine.stepCheckpoint(id), steps < 100_000 { steps += 1 }
  }

  func split() {
    for (_, error) in engine.splitLog(all: true) { Self.refusal(error, tell) }
  }
}
