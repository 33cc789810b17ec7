import AtRest
import Backup
import Base
import Disk
import Formats
import Glibc
import SQLite
import ShardStore
import Simulator
import Testing
import Threads

/// Restores that are killed and go on: what comes out is the snapshot, and what was done is not done again.
@Suite struct ResumeTests {
  private static let account = AccountID(bits: 0xA)
  private static let copy = AccountID(bits: 0xB)
  private static let changing: Set<DiskOperation.Kind> = [
    .write, .sync, .truncate, .create, .makeDirectory, .rename, .remove, .removeDirectory, .syncDirectory,
  ]

  @Sendable private static func isRestore(_ path: String) -> Bool {
    path.contains(".restore-") || path.contains("\(copy)") || path.hasSuffix("/accounts") || path.hasPrefix("/out")
  }

  private struct Prepared {
    let disk: ForgetfulDisk
    let snapshot: SnapshotID
    let chunks: Int
    let fingerprint: [String]
    let recovery: RecoveryFile
  }

  private func prepare(rows: Int, recordings: Int, seed: UInt64 = 3) async throws -> Prepared {
    let disk = ForgetfulDisk(seed: seed)
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    try await store.makeAccount(Self.account, rows: rows, recordings: recordings)
    let fingerprint = try await store.fingerprint(Self.account)
    let info = try await store.archive(Self.account).createSnapshot(of: store.engine, kind: .manual)
    let key = try store.engine.keyring(Self.account).accountKey
    let groups = (Int(info.databaseBytes) / 4096 + 15) / 16
    let chunks = groups + (0..<recordings).reduce(0) { $0 + max(1, ($1 * 200_000 + 10 + 262_143) / 262_144) }
    store.engine.close()
    disk.stop()
    return Prepared(
      disk: disk, snapshot: info.id, chunks: chunks, fingerprint: fingerprint,
      recovery: RecoveryFile(account: Self.account, accountKey: key, at: 1))
  }

  private static let groupBytes = 256 << 10

  @discardableResult
  private func restore(
    _ store: TestStore, _ snapshot: SnapshotID, progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) async throws -> RestoreReport {
    var request = RestoreRequest(
      snapshot: snapshot, as: Self.copy, unlockedBy: .keyEncryption(store.kek), progress: progress)
    request.control.groupBytes = Self.groupBytes
    request.control.interval = .seconds(3600)
    return try await store.archive(Self.account).restore(request, into: store.engine)
  }

  // MARK: how much is repeated

  @Test("after a kill at 10, 50 and 90 % a resume reads at most one group of chunks again", arguments: [0.1, 0.5, 0.9])
  func repeated(part: Double) async throws {
    let prepared = try await prepare(rows: 3000, recordings: 12)
    let disk = prepared.disk.crash()
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    let archived = Lock(0)
    disk.onOperation { operation in
      if operation.kind == .read, operation.path.contains("/packs/") { archived.with { $0 += 1 } }
      return .proceed
    }
    let readAtKill = Lock<Int?>(nil)
    do {
      try await restore(store, prepared.snapshot) { fraction in
        guard fraction >= part else { return }
        readAtKill.with { if $0 == nil { $0 = archived.with { $0 } } }
        disk.stop()
      }
      Issue.record("the disk went on")
    } catch { #expect(error is BackupError) }
    let next = disk.crash()
    store.engine.close()
    let again = try TestStore.open(next, logFileBytes: 256 << 10)
    defer { again.engine.close() }
    #expect(again.engine.accounts() == [Self.account])
    let report = try await restore(again, prepared.snapshot)
    #expect(report.isResumed)
    #expect(try await again.fingerprint(Self.copy) == prepared.fingerprint)
    #expect(try next.list("/node/accounts") == ["\(Self.account)", "\(Self.copy)"])
    // Groups of pages are a quarter of this test's group of chunks, chunks of recordings one; on two threads.
    let most = Int(Double(prepared.chunks) * (1 - part)) + Self.groupBytes / 65_536 + 4
    #expect(
      report.chunksRead <= most, "\(report.chunksRead) of \(prepared.chunks) after a kill at \(part), not \(most)")
    #expect(report.chunksRead >= Int(Double(prepared.chunks) * (1 - part) / 2) - 4)
  }

  // MARK: killed at every place, twice

  private func attempt(_ store: TestStore, _ disk: ForgetfulDisk, _ prepared: Prepared, _ plan: FaultPlan) async -> Bool
  {
    disk.onOperation(plan.decide)
    defer { disk.onOperation(nil) }
    do {
      _ = try await restore(store, prepared.snapshot)
      return true
    } catch { return false }
  }

  /// Kills at each operation of the first run where all places are wanted (`STRIDE=1 scripts/test`), else at every third.
  private static let every = getenv("STRIDE").flatMap { Int(String(cString: $0)) }.map { max(1, min($0, 3)) } ?? 3

  @Test(
    "killed at each operation, gone on with, killed again at every third, and gone on with: the account is the snapshot",
    arguments: DiskFault.Moment.allCases)
  func twice(moment: DiskFault.Moment) async throws {
    let prepared = try await prepare(rows: 150, recordings: 3)
    var (first, places, resumed) = (1, 0, 0)
    while true {
      var second = 1 + first % 3
      var ended = false
      while !ended {
        let one = prepared.disk.crash()
        let store = try TestStore.open(one, logFileBytes: 256 << 10)
        let plan = FaultPlan(.stop(moment), at: first, of: Self.changing, matches: Self.isRestore)
        _ = await attempt(store, one, prepared, plan)
        guard plan.fired else {
          store.engine.close()
          #expect(places >= 60 && resumed >= 20, "\(places) places, \(resumed) resumed")
          return
        }
        let two = one.crash()
        store.engine.close()
        let next = try TestStore.open(two, logFileBytes: 256 << 10)
        let again = FaultPlan(.stop(moment), at: second, of: Self.changing, matches: Self.isRestore)
        _ = await attempt(next, two, prepared, again)
        let three = two.crash()
        next.engine.close()
        let last = try TestStore.open(three, logFileBytes: 256 << 10)
        let isOver = last.engine.accounts().contains(Self.copy) && last.engine.unfinishedRestore(of: Self.copy) == nil
        if !isOver, try await restore(last, prepared.snapshot).isResumed { resumed += 1 }
        #expect(try await last.fingerprint(Self.copy) == prepared.fingerprint, "kills at \(first) and \(second)")
        #expect(try three.list("/node/accounts") == ["\(Self.account)", "\(Self.copy)"])
        last.engine.close()
        places += 1
        ended = !again.fired
        second += 17
      }
      first += Self.every
    }
  }

  // MARK: what is not believed

  /// A restore of `snapshot` that died in its second half, on a new disk.
  private func half(_ prepared: Prepared) async throws -> ForgetfulDisk {
    let disk = prepared.disk.crash()
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    _ = try? await restore(store, prepared.snapshot) { if $0 >= 0.6 { disk.stop() } }
    let next = disk.crash()
    store.engine.close()
    return next
  }

  @Test("progress that is damaged, cut short, another's or without its files means a start from the beginning")
  func distrusted() async throws {
    let prepared = try await prepare(rows: 600, recordings: 5)
    let directory = "/node/accounts/.restore-\(Self.copy)"
    let path = "\(directory)/\(RestoreProgress.fileName)"
    let changes: [(String, (ForgetfulDisk) throws -> Void)] = [
      ("a flipped bit", { try $0.flip(path, 70, bit: 3) }),
      ("a cut", { try $0.open(path, .readWrite).truncate(to: 40) }),
      ("nothing", { try $0.remove(path) }),
      (
        "another binding",
        { disk in
          var progress = try RestoreProgress(disk.readAll(path, limit: 1 << 20))
          progress.binding[0] ^= 1
          try disk.replaceFile(path, progress.encode())
        }
      ),
      (
        "more pages than there are",
        { disk in
          var progress = try RestoreProgress(disk.readAll(path, limit: 1 << 20))
          progress.pages += 100_000
          try disk.replaceFile(path, progress.encode())
        }
      ),
      (
        "a longer volume",
        { disk in
          var progress = try RestoreProgress(disk.readAll(path, limit: 1 << 20))
          for i in progress.volumes.indices { progress.volumes[i].end += 1 }
          if progress.volumes.isEmpty { progress.pages += 100_000 }
          try disk.replaceFile(path, progress.encode())
        }
      ),
    ]
    for (what, change) in changes {
      let disk = try await half(prepared)
      try change(disk)
      let store = try TestStore.open(disk, logFileBytes: 256 << 10)
      let report = try await restore(store, prepared.snapshot)
      #expect(!report.isResumed, "\(what)")
      #expect(try await store.fingerprint(Self.copy) == prepared.fingerprint, "\(what)")
      store.engine.close()
    }
  }

  @Test("what was noted and is damaged since is noticed, whatever it is, and never becomes the account")
  func damaged() async throws {
    let prepared = try await prepare(rows: 600, recordings: 5)
    let directory = "/node/accounts/.restore-\(Self.copy)"
    var seen = 0
    for offset in stride(from: 5000, to: 400_000, by: 23_456) {
      for name in ["pages.kpgs", "volumes/000001.kvol"] {
        let disk = try await half(prepared)
        guard let info = try disk.info("\(directory)/\(name)"), info.bytes > UInt64(offset) else { continue }
        try disk.flip("\(directory)/\(name)", offset, bit: 2)
        let store = try TestStore.open(disk, logFileBytes: 256 << 10)
        try await restore(store, prepared.snapshot)
        #expect(try await store.fingerprint(Self.copy) == prepared.fingerprint, "\(name) at \(offset)")
        store.engine.close()
        seen += 1
      }
    }
    #expect(seen > 10)
  }

  @Test("another snapshot under the same name begins anew; a restore that nobody goes on with can be let go")
  func another() async throws {
    let prepared = try await prepare(rows: 600, recordings: 5)
    let disk = try await half(prepared)
    let store = try TestStore.open(disk, logFileBytes: 256 << 10)
    defer { store.engine.close() }
    #expect(store.engine.unfinishedRestores() == [Self.copy])
    _ = try await store.engine.write(Self.account) { try $0.execute("DELETE FROM calls WHERE id % 2 = 0") }
    let later = try await store.archive(Self.account).createSnapshot(of: store.engine, kind: .manual)
    let report = try await restore(store, later.id)
    #expect(!report.isResumed)
    #expect(try await store.fingerprint(Self.copy) == store.fingerprint(Self.account))
    let other = try await half(prepared)
    let again = try TestStore.open(other, logFileBytes: 256 << 10)
    try again.engine.abandonRestore(of: Self.copy)
    #expect(try other.list("/node/accounts") == ["\(Self.account)"])
    again.engine.close()
  }

  @Test("cancelled, nothing of a restore is left; stopped, the next process goes on with it")
  func cancelled() async throws {
    let prepared = try await prepare(rows: 600, recordings: 5)
    for keeps in [false, true] {
      let disk = prepared.disk.crash()
      let store = try TestStore.open(disk, logFileBytes: 256 << 10)
      var control = RestoreControl()
      control.groupBytes = Self.groupBytes
      let cancel = control.cancel
      var request = RestoreRequest(snapshot: prepared.snapshot, as: Self.copy, unlockedBy: .keyEncryption(store.kek)) {
        if $0 >= 0.5 { keeps ? cancel.stop() : cancel.set() }
      }
      request.control = control
      do {
        _ = try await store.archive(Self.account).restore(request, into: store.engine)
        Issue.record("it went on")
      } catch { #expect((error as? BackupError)?.code == .cancelled) }
      #expect(store.engine.unfinishedRestores() == (keeps ? [Self.copy] : []))
      let report = try await restore(store, prepared.snapshot)
      #expect(report.isResumed == keeps)
      #expect(try await store.fingerprint(Self.copy) == prepared.fingerprint)
      store.engine.close()
    }
  }

  // MARK: plain files

  private func offline(
    _ disk: ForgetfulDisk, _ prepared: Prepared, _ progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) throws -> RestoreReport {
    var control = RestoreControl()
    control.groupBytes = Self.groupBytes
    control.interval = .seconds(3600)
    return try OfflineRestore(disk: disk, archive: "/archive", recovery: prepared.recovery).run(
      out: "/out", control, progress: progress)
  }

  private func content(_ disk: ForgetfulDisk) throws -> [String: [UInt8]] {
    var files: [String: [UInt8]] = [:]
    func walk(_ path: String) throws {
      for name in try disk.list(path) {
        let child = "\(path)/\(name)"
        if try disk.info(child)!.isDirectory {
          try walk(child)
        } else {
          files[child] = try disk.readAll(child, limit: 1 << 28)
        }
      }
    }
    try walk("/out")
    return files
  }

  @Test("an offline restore goes on as well: at most one group of chunks is read again", arguments: [0.1, 0.5, 0.9])
  func offlineRepeated(part: Double) async throws {
    let prepared = try await prepare(rows: 3000, recordings: 12)
    let whole = prepared.disk.crash()
    _ = try offline(whole, prepared)
    let disk = prepared.disk.crash()
    #expect(throws: BackupError.self) { try offline(disk, prepared) { if $0 >= part { disk.stop() } } }
    let next = disk.crash()
    let report = try offline(next, prepared)
    #expect(report.isResumed)
    #expect(try content(next) == content(whole))
    // Four threads; the largest recording has nine chunks.
    let most = Int(Double(prepared.chunks) * (1 - part)) + Self.groupBytes / 65_536 + 4 + 9
    #expect(report.chunksRead <= most, "\(report.chunksRead) of \(prepared.chunks) after \(part), not \(most)")
  }

  @Test("an offline restore that is killed at each place, and again, ends in the same files")
  func offlineTwice() async throws {
    let prepared = try await prepare(rows: 100, recordings: 4)
    let whole = prepared.disk.crash()
    _ = try offline(whole, prepared)
    let expected = try content(whole)
    var (first, places, resumed) = (1, 0, 0)
    while true {
      let one = prepared.disk.crash()
      let plan = FaultPlan(.stop(.allCases[first % 3]), at: first, of: Self.changing, matches: Self.isRestore)
      one.onOperation(plan.decide)
      _ = try? offline(one, prepared)
      guard plan.fired else { break }
      let two = one.crash()
      let again = FaultPlan(.stop(.allCases[first % 2]), at: 1 + first % 23, of: Self.changing, matches: Self.isRestore)
      two.onOperation(again.decide)
      _ = try? offline(two, prepared)
      let three = two.crash()
      // What died in its very last step is there already, and may have lost what said so.
      if (try? three.info("/out")) == nil || (try? three.info("/out/\(RestoreProgress.fileName)")) != nil {
        if try offline(three, prepared).isResumed { resumed += 1 }
      }
      #expect(try content(three) == expected, "kill \(first)")
      #expect(try three.info("/out.komora-unfinished") == nil)
      places += 1
      first += 1
    }
    #expect(places >= 40 && resumed >= 20, "\(places) places, \(resumed) resumed")
  }

  @Test("files that an earlier offline run noted and that are not what they were are written anew")
  func offlineDamaged() async throws {
    let prepared = try await prepare(rows: 100, recordings: 4)
    let whole = prepared.disk.crash()
    _ = try offline(whole, prepared)
    let expected = try content(whole)
    let building = "/out.komora-unfinished"
    for (name, offset) in [
      ("account.sqlite", 5000), ("recordings/calls/0.wav", 3), ("recordings/calls/1.wav", 100_000),
    ] {
      let disk = prepared.disk.crash()
      #expect(throws: BackupError.self) { try offline(disk, prepared) { if $0 >= 0.95 { disk.stop() } } }
      let next = disk.crash()
      guard try next.info("\(building)/\(name)") != nil else { continue }
      try next.flip("\(building)/\(name)", offset, bit: 1)
      _ = try offline(next, prepared)
      #expect(try content(next) == expected, "\(name)")
    }
  }
}
