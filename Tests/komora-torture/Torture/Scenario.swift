// The stories whose every write, sync and rename is visited.

import AtRest
import Backup
import Base
import Disk
import Formats
import Glibc
import SQLite
import ShardStore
import Simulator

package enum Scenario: String, CaseIterable, Sendable {
  case commit, checkpoint, roll, upload, parts, create, remove, rotate, recovery, close, collect, snapshot, restore

  /// Classes of places that must have been visited, else the story does not tell what its name says.
  var required: [String] {
    switch self {
    case .commit: ["write klog", "sync klog", "create klog", "syncDirectory log"]
    case .checkpoint: ["write kpgs", "sync kpgs", "write krdo", "sync krdo", "rename keys", "write klog"]
    case .roll: ["create kseg", "write kseg", "sync kseg", "syncDirectory segments", "write klog", "sync klog"]
    case .upload: ["write kvol", "sync kvol", "create kvol", "write keyring", "sync keyring", "write klog"]
    case .parts: ["write kvol", "sync kvol", "create kvol", "write keyring", "sync keyring", "write klog", "sync klog"]
    case .create:
      ["makeDirectory account", "create kpgs", "rename account", "syncDirectory accounts", "sync keyring", "sync krdo"]
    case .remove: ["rename account", "syncDirectory accounts", "remove kseg", "removeDirectory account"]
    case .rotate: ["rename keyring", "sync keyring", "syncDirectory account"]
    case .recovery: ["write kseg", "sync kseg", "truncate kseg", "write klog"]
    case .close: ["write kseg", "sync kseg"]
    case .collect: ["write kvol", "sync kvol", "remove kvol", "syncDirectory volumes"]
    case .snapshot:
      ["write kpak", "sync kpak", "rename kpak", "write kman", "sync kman", "rename kman", "rename proof"]
    case .restore:
      [
        "write kpgs", "sync kpgs", "write kvol", "sync kvol", "rename account", "sync keyring",
        "syncDirectory accounts",
      ]
    }
  }

  func configuration(_ directory: String) -> EngineConfiguration {
    var configuration = EngineConfiguration(directory: directory, node: NodeID(bits: 1))
    configuration.logFileBytes = 64 << 10
    configuration.segmentBytes = 32 << 10
    configuration.volumeBytes = 300 << 10
    configuration.checkpointBatchPages = 4
    configuration.checkpointPause = .zero
    switch self {
    case .roll:
      configuration.logFileBytes = 8 << 10
      configuration.segmentBytes = 6 << 10
    case .collect: configuration.volumeBytes = 90 << 10
    default: break
    }
    return configuration
  }

  static func archive(_ directory: String) -> String { directory + "/archive" }

  /// The state in which the story begins; without faults.
  func prepare(_ directory: String, disk: any Disk, tell: @escaping Driver.Tell) async throws {
    let driver = try Driver(configuration(directory), disk: disk, kek: TestKey(1), tell: tell)
    let stage = Stage(driver: driver, directory: directory, disk: disk, tell: tell)
    for account in 1...3 {
      try driver.create(account)
      for tx in 1...3 { driver.write(account, tx: tx) }
    }
    try driver.record(1, number: 1, bytes: 20_000)
    switch self {
    case .recovery:
      // As a kill leaves it: some in segments, some in the log only, a checkpoint in the past.
      driver.checkpoint(1)
      driver.split()
      for account in 1...3 { driver.write(account, tx: 4, parts: 5) }
      driver.write(1, tx: 5, parts: 20, bytes: 900)
      return
    case .collect:
      for number in 2...3 { try driver.record(2, number: number, bytes: 200_000) }
      try driver.record(2, number: 4, bytes: 30_000)
    case .restore:
      driver.write(1, tx: 4, parts: 30, bytes: 2_000)
      try driver.record(1, number: 2, bytes: 300_000)
      try await Self.takeSnapshot(1, stage)
    case .snapshot:
      driver.write(1, tx: 4, parts: 30, bytes: 2_000)
      try driver.record(1, number: 2, bytes: 300_000)
    default: break
    }
    driver.engine.close()
  }

  /// The story itself. What fails is told and the story goes on.
  func run(_ directory: String, disk: any Disk, tell: @escaping Driver.Tell) async {
    guard let driver = open(directory, disk, tell) else { return }
    let stage = Stage(driver: driver, directory: directory, disk: disk, tell: tell)
    func attempt(_ body: () throws -> Void) { do { try body() } catch { Driver.refusal(error, tell) } }
    switch self {
    case .commit:
      for round in 0..<3 {
        for account in 1...3 { for i in 0..<4 { driver.submit(account, tx: 10 + round * 10 + i) } }
        driver.pump()
      }
      // More than one record, in more than one group of the log.
      driver.write(2, tx: 50, parts: 1_100, bytes: 3_900)
      driver.write(2, tx: 51)
    case .checkpoint:
      driver.write(1, tx: 10, parts: 12, bytes: 3_000)
      driver.checkpoint(1)
      driver.submit(1, tx: 11)
      driver.submit(2, tx: 11)
      driver.pump()
      driver.checkpoint(1)
      driver.checkpoint(2)
      driver.write(1, tx: 12)
    case .roll:
      for round in 0..<4 {
        for account in 1...3 { driver.write(account, tx: 10 + round, parts: 3, bytes: 800) }
        driver.split()
      }
    case .upload: attempt { try Self.interleavedUploads(driver) }
    case .parts: attempt { try PartsStory.run(driver) }
    case .create:
      for account in 4...5 {
        attempt { try driver.create(account) }
        driver.write(account, tx: 1)
      }
      attempt { try driver.record(4, number: 1, bytes: 10_000) }
    case .remove:
      for account in [2, 1] {
        tell("removing \(account)")
        attempt {
          try driver.engine.removeAccountNow(Content.account(account))
          tell("removed \(account)")
        }
      }
      driver.write(3, tx: 10)
    case .rotate:
      driver.write(1, tx: 10)
      tell("rotating")
      // Half a rotation leaves accounts under either key; it is made whole by doing it again.
      for _ in 0..<2 {
        do {
          try driver.engine.rotate(to: TestKey(2))
          tell("rotated")
          break
        } catch { Driver.refusal(error, tell) }
      }
      driver.write(1, tx: 11)
    case .recovery, .close:
      for account in 1...3 { driver.write(account, tx: 20) }
      driver.engine.close()
      return tell("finished")
    case .collect: await Self.collect(driver, tell)
    case .snapshot:
      do {
        try await Self.takeSnapshot(1, stage)
        driver.write(1, tx: 20)
        try driver.record(1, number: 3, bytes: 5_000)
        try await Self.takeSnapshot(1, stage)
      } catch { Driver.refusal(error, tell) }
    case .restore:
      do { try await Self.restore(stage) } catch { Driver.refusal(error, tell) }
      driver.write(9, tx: 30)
    }
    Self.proveAlive(driver, self, tell)
  }

  /// An engine that cannot start says so, and is started once more.
  private func open(_ directory: String, _ disk: any Disk, _ tell: @escaping Driver.Tell) -> Driver? {
    for _ in 0..<2 {
      do { return try Driver(configuration(directory), disk: disk, kek: TestKey(1), tell: tell) } catch {
        Driver.refusal(error, tell)
      }
    }
    return nil
  }

  /// After a single failure the engine takes writes again: at once or when it is asked again.
  private static func proveAlive(_ driver: Driver, _ scenario: Scenario, _ tell: Driver.Tell) {
    for attempt in 0..<4 where driver.write(3, tx: 900 + attempt) {
      tell("finished")
      return
    }
  }

  private static func interleavedUploads(_ driver: Driver) throws {
    let (a, b) = (
      Content.recording(account: 1, number: 11, bytes: 300_000),
      Content.recording(account: 1, number: 12, bytes: 270_000)
    )
    let first = try driver.engine.uploadNow(Content.account(1))
    let second = try driver.engine.uploadNow(Content.account(1))
    try first.appendNow(Array(a[..<280_000]))
    try second.appendNow(b)
    try first.appendNow(Array(a[280_000...]))
    let stored = (try first.finishNow(), try second.finishNow())
    try driver.putRow(1, number: 11, stored: stored.0)
    try driver.putRow(1, number: 12, stored: stored.1)
    try driver.record(2, number: 13, bytes: 100)
  }

  private static func collect(_ driver: Driver, _ tell: @escaping Driver.Tell) async {
    let id = Content.account(2)
    for number in 2...3 {
      tell("unrecording 2 \(number)")
      driver.engine.submit(
        id, { _ = try RecordingCatalog.delete($0, key: Content.recordingKey(number), at: 1) }
      ) { result in
        if case .failure(let error) = result { Driver.refusal(error, tell) }
      }
    }
    driver.pump()
    // A new volume becomes the current one, so that the old one can go.
    do { try driver.record(2, number: 5, bytes: 120_000) } catch { Driver.refusal(error, tell) }
    let done = Task { try await driver.engine.collectRecordings(id, grace: .zero, keepDeleted: .zero) }
    let pumping = Task {
      while !Task.isCancelled {
        driver.pump()
        await Task.yield()
      }
    }
    do { _ = try await done.value } catch { Driver.refusal(error, tell) }
    pumping.cancel()
    await pumping.value
  }

  static func takeSnapshot(_ account: Int, _ stage: Stage) async throws {
    let (driver, directory, disk, tell) = (stage.driver, stage.directory, stage.disk, stage.tell)
    let id = Content.account(account)
    let archive = AccountArchive(
      disk: disk, layout: ArchiveLayout(root: archive(directory), account: id), packBytesMax: 200 << 10)
    let info = try await archive.createSnapshot(of: driver.engine, kind: .manual)
    tell("snapshot \(account) \(info.id)")
  }

  private static func restore(_ stage: Stage) async throws {
    let (driver, directory, disk, tell) = (stage.driver, stage.directory, stage.disk, stage.tell)
    let archive = AccountArchive(
      disk: disk, layout: ArchiveLayout(root: archive(directory), account: Content.account(1)))
    guard let last = try await archive.list().snapshots.last else { return tell("problem no snapshot to restore") }
    let keyring = try driver.engine.keyring(Content.account(1))
    tell("restoring 9 1")
    let request = RestoreRequest(
      snapshot: last.id, as: Content.account(9), unlockedBy: .accountKey(keyring.accountKey))
    _ = try await archive.restore(request, into: driver.engine)
    tell("restored 9 1")
  }

  /// What a path is, in one word.
  @Sendable static func pathClass(_ path: String) -> String {
    let name = String(path.split(separator: "/").last ?? "")
    let bare = name.hasSuffix(".new") ? String(name.dropLast(4)) : name
    if bare.hasPrefix(".") || AccountID(bare) != nil { return "account" }
    return FaultPlan.fileExtension(bare)
  }
}

/// What a story plays on.
struct Stage: Sendable {
  let driver: Driver
  let directory: String
  let disk: any Disk
  let tell: Driver.Tell
}
