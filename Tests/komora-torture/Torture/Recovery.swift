// Opens what a story left behind, without faults, and holds it against what the user was told.

import AtRest
import Backup
import Base
import Disk
import Formats
import SQLite
import ShardStore
import Threads

struct Recovery {
  let directory: String
  let configuration: EngineConfiguration
  private(set) var ledger: Ledger
  /// Number of what is written to see that the engine goes on.
  var mark = 5_000
  /// Newest snapshots that are restored.
  var snapshotsMax = Int.max
  /// Removes restored accounts when they have been looked at.
  var removesCopies = false
  private(set) var problems: [String] = []
  /// What was compared, so that a check that saw nothing shows.
  private(set) var seen = Seen()

  struct Seen: Sendable {
    var transactions = 0
    var recordings = 0
    var accounts = 0
    var snapshots = 0
    var files = 0
    var mendable = 0
    /// Restores that were gone on with.
    var finished = 0

    static func += (a: inout Seen, b: Seen) {
      a.transactions += b.transactions
      a.recordings += b.recordings
      a.accounts += b.accounts
      a.snapshots += b.snapshots
      a.files += b.files
      a.mendable += b.mendable
      a.finished += b.finished
    }
  }

  init(_ directory: String, _ configuration: EngineConfiguration, _ ledger: Ledger) {
    self.directory = directory
    self.configuration = configuration
    self.ledger = ledger
  }

  /// Everything at once; problems are what is left.
  mutating func check() async {
    problems += ledger.problems
    let heard = Lock<[String]>([])
    do {
      let driver = try open { line in heard.with { $0.append(line) } }
      await finishRestores(driver)
      checkAccounts(driver)
      await checkSnapshots(driver)
      goOn(driver, heard)
      driver.engine.close()
      verifyFiles()
      try reopen()
    } catch { problems.append("the engine does not open: \(error)") }
    for line in heard.with({ $0 }) where line.hasPrefix("problem") || line.hasPrefix("refused") {
      problems.append(line)
    }
  }

  private var key: TestKey { ledger.rotated ? TestKey(2) : TestKey(1) }

  private func open(_ tell: @escaping Driver.Tell) throws -> Driver {
    let driver = try Driver(configuration, disk: RealDisk(), kek: key, tell: tell)
    // Half a rotation is made whole by doing it again.
    if ledger.rotating, !ledger.rotated { try driver.engine.rotate(to: TestKey(2)) }
    return driver
  }

  // MARK: restores

  /// What a restore had made durable is there for the next one, which ends it; anything else the start has removed.
  private mutating func finishRestores(_ driver: Driver) async {
    for account in driver.engine.unfinishedRestores() {
      let number = Content.number(of: account)
      guard let source = ledger.restoring[number], driver.engine.unfinishedRestore(of: account) != nil else {
        problems.append("the start left something of a restore of \(number) that nobody can go on with")
        continue
      }
      do {
        let layout = ArchiveLayout(root: Scenario.archive(directory), account: Content.account(source))
        let archive = AccountArchive(disk: RealDisk(), layout: layout)
        guard let last = try await archive.list().snapshots.last else { continue }
        let keyring = try driver.engine.keyring(Content.account(source))
        let request = RestoreRequest(
          snapshot: last.id, as: account, unlockedBy: .accountKey(keyring.accountKey))
        _ = try await archive.restore(request, into: driver.engine)
        seen.finished += 1
      } catch { problems.append("the restore of \(number) cannot be ended: \(error)") }
    }
  }

  // MARK: accounts

  private mutating func checkAccounts(_ driver: Driver) {
    let present = Set(driver.engine.accounts().map(Content.number))
    let missing = ledger.mustExist.subtracting(present)
    if !missing.isEmpty { problems.append("accounts are missing: \(missing.sorted())") }
    let surplus = present.subtracting(ledger.mayExist)
    if !surplus.isEmpty { problems.append("accounts that must not be there: \(surplus.sorted())") }
    let names = (try? RealDisk().list(configuration.accountsDirectory)) ?? []
    for name in names where AccountID(name) == nil { problems.append("the start left \(name) behind") }
    for account in present.sorted() {
      seen.accounts += 1
      do { try checkAccount(account, driver) } catch { problems.append("account \(account): \(error)") }
    }
  }

  private mutating func checkAccount(_ account: Int, _ driver: Driver) throws {
    let id = Content.account(account)
    let copyOf = ledger.restoring[account]
    let (found, _) = try driver.engine.readNow(id) { connection -> Found in try Found(connection) }
    for problem in found.problems(owners: Set([account, copyOf ?? account])) {
      problems.append("account \(account): \(problem)")
    }
    // An account whose creation was not confirmed may lack its tables.
    if !found.hasTables, ledger.accounts.contains(account) { problems.append("account \(account) has no tables") }
    seen.transactions += found.transactions.count
    let answers = ledger.answers[account] ?? Ledger.Answers()
    for (tx, parts) in answers.acknowledged where found.transactions[tx]?.rows != parts {
      problems.append("account \(account): acknowledged transaction \(tx) is not there as it was")
    }
    for tx in answers.denied where found.transactions[tx] != nil {
      problems.append("account \(account): transaction \(tx) was said not to be applied, and is there")
    }
    try checkRecordings(account, found, driver)
    guard account == 1, !ledger.parts.isEmpty else { return }
    problems += try PartsStory.problems(
      told: ledger.parts, asked: ledger.askedParts, isThere: found.recordings[PartsStory.number] != nil, driver)
  }

  private mutating func checkRecordings(_ account: Int, _ found: Found, _ driver: Driver) throws {
    let deleted = ledger.deletedRecordings[account] ?? []
    for (number, bytes) in ledger.recordings[account] ?? [:] where !deleted.contains(number) {
      if found.recordings[number]?.bytes != bytes {
        problems.append("account \(account): acknowledged recording \(number) is not there")
      }
    }
    for (number, row) in found.recordings {
      let reader = try driver.engine.recordingNow(Content.account(account), row.id)
      var content: [UInt8] = []
      while content.count < reader.size {
        let part = try reader.readNow(offset: content.count, count: 1 << 20)
        if part.isEmpty { break }
        content += part
      }
      let owner = Int(row.contentType.split(separator: "/").last ?? "") ?? -1
      if content != Content.recording(account: owner, number: number, bytes: row.bytes) {
        problems.append("account \(account): recording \(number) is not what was stored")
      }
      seen.recordings += 1
    }
  }

  // MARK: snapshots

  private mutating func checkSnapshots(_ driver: Driver) async {
    let root = Scenario.archive(directory)
    for account in driver.engine.accounts() {
      let layout = ArchiveLayout(root: root, account: account)
      guard (try? RealDisk().info(layout.directory)) ?? nil != nil else { continue }
      let number = Content.number(of: account)
      do {
        let archive = AccountArchive(disk: RealDisk(), layout: layout)
        let list = try await archive.list()
        for error in list.damaged { problems.append("archive of account \(number): \(error)") }
        let ids = Set(list.snapshots.map { "\($0.id)" })
        for id in ledger.snapshots[number] ?? [] where !ids.contains(id) {
          problems.append("account \(number): acknowledged snapshot \(id) is not in the archive")
        }
        let keyring = try driver.engine.keyring(account)
        for (i, snapshot) in list.snapshots.suffix(snapshotsMax).enumerated() {
          seen.snapshots += 1
          let request = RestoreRequest(
            snapshot: snapshot.id, as: Content.account(7_000_000 + number * 100 + i),
            unlockedBy: .accountKey(keyring.accountKey))
          _ = try await archive.restore(request, into: driver.engine)
          try checkRestored(request, source: number, driver)
        }
      } catch { problems.append("archive of account \(number): \(error)") }
    }
  }

  /// A snapshot that is listed restores into a whole account.
  private mutating func checkRestored(_ request: RestoreRequest, source: Int, _ driver: Driver) throws {
    let (found, _) = try driver.engine.readNow(request.account) { try Found($0) }
    for problem in found.problems(owners: [source]) {
      problems.append("snapshot \(request.snapshot) of account \(source): \(problem)")
    }
    try checkRecordings(Content.number(of: request.account), found, driver)
    try driver.engine.removeAccountNow(request.account)
  }

  // MARK: going on

  /// The engine takes a write, an upload and a checkpoint in every account.
  private mutating func goOn(_ driver: Driver, _ heard: Lock<[String]>) {
    for copy in ledger.restoring.keys where removesCopies && driver.engine.hasAccount(Content.account(copy)) {
      do {
        try driver.engine.removeAccountNow(Content.account(copy))
        ledger.note("removing \(copy)")
        ledger.note("removed \(copy)")
      } catch { problems.append("the copy \(copy) cannot be removed: \(error)") }
    }
    for account in driver.engine.accounts().map(Content.number) {
      let ready = (try? driver.engine.readNow(Content.account(account)) { try Found($0).hasTables })?.0 ?? false
      guard ready else { continue }
      if !driver.write(account, tx: mark) { problems.append("account \(account) takes no write") }
      do { try driver.record(account, number: mark, bytes: 3_000) } catch {
        problems.append("account \(account) takes no recording: \(error)")
      }
      driver.checkpoint(account)
      _ = driver.engine.closeIdle(Content.account(account))
    }
  }

  private mutating func reopen() throws {
    let driver = try Driver(configuration, disk: RealDisk(), kek: ledger.rotating ? TestKey(2) : key) { _ in }
    let mark = Int64(mark)
    for account in driver.engine.accounts().map(Content.number) {
      let (rows, _) = try driver.engine.readNow(Content.account(account)) { connection -> Int64 in
        let tables = try connection.query("SELECT 1 FROM sqlite_master WHERE name = 'tally'")
        if tables.isEmpty { return -1 }
        let rows = try connection.query("SELECT count(*) FROM t WHERE tx = ?", .integer(mark))
        let row = try RecordingCatalog.get(connection, key: Content.recordingKey(Int(mark)))
        return row == nil ? 0 : rows[0][0].integer ?? 0
      }
      if rows >= 0, rows != 2 { problems.append("account \(account): what was written after the recovery is gone") }
      if rows == 2 {
        ledger.note("tx \(account) \(mark) 2")
        ledger.note("recording \(account) \(mark) 3000")
      }
    }
    driver.engine.close()
  }

  private mutating func verifyFiles() {
    var verifier = StoreVerifier(
      disk: RealDisk(), configuration: configuration, kek: ledger.rotating ? TestKey(2) : key)
    verifier.verifyEverything()
    seen.files += verifier.counts.files
    for finding in verifier.findings {
      if finding.severity == .damage { problems.append("verify: \(finding)") } else { seen.mendable += 1 }
    }
    if verifier.counts.files == 0, seen.accounts > 0 { problems.append("verify looked at no file") }
  }
}
