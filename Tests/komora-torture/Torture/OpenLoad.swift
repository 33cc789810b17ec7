// The load of a process that is to be killed: a live engine, writes at a fixed rate whether it keeps up or not, and
// uploads, snapshots, restores and removals beside them. Small files make checkpoints and splits frequent.

import AtRest
import Backup
import Base
import Disk
import Formats
import Glibc
import SQLite
import ShardStore
import Threads

struct OpenLoad: Sendable {
  static let accounts = 4
  /// The account that is snapshotted.
  static let archived = 4

  let directory: String
  let page: SharedPage
  /// Numbers from here on are this process's own.
  let base: Int
  let rate: Int
  /// Accounts that are there already.
  let known: Set<Int>

  static func configuration(_ directory: String) -> EngineConfiguration {
    var configuration = EngineConfiguration(directory: directory, node: NodeID(bits: 1))
    configuration.logFileBytes = 512 << 10
    configuration.logFilesMax = 8
    configuration.segmentBytes = 128 << 10
    configuration.volumeBytes = 1 << 20
    configuration.checkpointVersions = 150
    configuration.checkpointBatchPages = 16
    configuration.maintenancePeriod = .milliseconds(5)
    configuration.writerThreads = 3
    configuration.readerThreads = 3
    return configuration
  }

  func run() async throws {
    let engine = try Engine.open(Self.configuration(directory), disk: PhaseDisk(page), kek: TestKey(1))
    for account in 1...Self.accounts where !known.contains(account) {
      Child.tell("creating \(account)")
      if !engine.hasAccount(Content.account(account)) { try await engine.createAccount(Content.account(account)) }
      _ = try await engine.write(Content.account(account)) { connection in
        guard try connection.query("SELECT 1 FROM sqlite_master WHERE name = 'tally'").isEmpty else { return }
        try connection.executeScript(Content.schema)
      }
      Child.tell("account \(account)")
    }
    page.add(.ready, 1)
    let writer = Thread(name: "load") { submitForever(engine) }
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await uploadForever(engine, 0) }
      group.addTask { await snapshotForever(engine) }
      group.addTask { await restoreForever(engine) }
    }
    writer.join()
  }

  private func submitForever(_ engine: Engine) {
    let clock = SystemClock()
    let start = clock.monotonicNanoseconds()
    var sent = 0
    while true {
      let due = Int((clock.monotonicNanoseconds() - start) / 1_000 * UInt64(rate) / 1_000_000)
      while sent < due {
        submit(engine, base + sent)
        sent += 1
      }
      usleep(500)
    }
  }

  private func submit(_ engine: Engine, _ tx: Int) {
    let account = tx % Self.accounts + 1
    page.add(.submitted, 1)
    engine.submit(
      Content.account(account), { try Content.write($0, account: account, tx: tx, parts: 2, bytes: 120) }
    ) { [page] result in
      page.add(.answered, 1)
      switch result {
      case .success:
        page.add(.acknowledged, 1)
        Child.tell("tx \(account) \(tx) 2")
      case .failure(let error): Driver.report(error, account: account, tx: tx, Child.tell)
      }
    }
  }

  private func uploadForever(_ engine: Engine, _ lane: Int) async {
    for i in 0... {
      let (number, account) = (base + i, i % Self.accounts + 1)
      // Few in the account that is archived, so that a snapshot of it is done in a moment.
      let bytes = account == Self.archived ? 2_000 : 30_000 + i * 7_919 % 250_000
      await attempt {
        try await page.during(.upload) {
          let content = Content.recording(account: account, number: number, bytes: bytes)
          let upload = try await engine.upload(Content.account(account))
          for start in stride(from: 0, to: content.count, by: 60_000) {
            try await upload.append(Array(content[start..<min(start + 60_000, content.count)]))
          }
          let stored = try await upload.finish()
          _ = try await engine.write(Content.account(account)) {
            try RecordingCatalog.put(
              $0, key: Content.recordingKey(number), stored, contentType: Content.recordingType(account),
              metadata: "{}", at: 1)
          }
        }
        Child.tell("recording \(account) \(number) \(bytes)")
      }
    }
  }

  private var archive: AccountArchive {
    AccountArchive(
      disk: RealDisk(),
      layout: ArchiveLayout(root: Scenario.archive(directory), account: Content.account(Self.archived)))
  }

  private func snapshotForever(_ engine: Engine) async {
    let archive = archive
    while true {
      await attempt {
        let info = try await page.during(.snapshot) {
          try await archive.createSnapshot(of: engine, kind: .manual)
        }
        Child.tell("snapshot \(Self.archived) \(info.id)")
      }
      try? await Task.sleep(for: .milliseconds(30))
    }
  }

  private func restoreForever(_ engine: Engine) async {
    let archive = archive
    for i in 0... {
      let target = 1_000_000 + base + i
      await attempt {
        guard let last = try await archive.list().snapshots.last else { return }
        let keyring = try engine.keyring(Content.account(Self.archived))
        Child.tell("restoring \(target) \(Self.archived)")
        try await page.during(.restore) {
          let request = RestoreRequest(
            snapshot: last.id, as: Content.account(target), unlockedBy: .accountKey(keyring.accountKey))
          _ = try await archive.restore(request, into: engine)
        }
        Child.tell("restored \(target) \(Self.archived)")
        Child.tell("removing \(target)")
        try await engine.removeAccount(Content.account(target))
        Child.tell("removed \(target)")
      }
      try? await Task.sleep(for: .milliseconds(20))
    }
  }

  private func attempt(_ body: () async throws -> Void) async {
    do { try await body() } catch { Driver.refusal(error, Child.tell) }
  }
}
