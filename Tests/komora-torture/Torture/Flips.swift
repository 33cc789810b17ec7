// Every byte of a small account with another bit: the verification names file and place, and no reader is ever given
// anything but what was written.

import AtRest
import Backup
import Base
import Disk
import Formats
import SQLite
import ShardStore
import Threads

package struct Flips: Sendable {
  package var stride = 1
  package var offset = 0
  package var threads = 2

  package init() {}

  package struct Outcome: Sendable {
    package var passed = 0
    package var failed = 0
    package var lines: [String] = []
    /// Flips by kind of file.
    var flipped: [String: Int] = [:]
    var named = 0
    var refused = 0
    var same = 0
  }

  private static let root = "/d"
  private static let account = 1

  /// What a reader is given of the account, whole.
  struct Reading: Sendable, Equatable {
    var rows: [[Value]] = []
    var recordings: [String: [UInt8]] = [:]
  }

  private static func configuration() -> EngineConfiguration {
    var configuration = EngineConfiguration(directory: root, node: NodeID(bits: 1))
    configuration.logFileBytes = 8 << 10
    configuration.checkpointPause = .zero
    return configuration
  }

  /// A closed account with a snapshot; and, when `live`, one whose last records are only in the commit log.
  private static func make(live: Bool) async throws -> DiskImage {
    let disk = ImageDisk()
    let driver = try Driver(configuration(), disk: disk, kek: TestKey(1)) { _ in }
    try driver.create(account)
    for tx in 1...3 { driver.write(account, tx: tx, parts: 2, bytes: 200) }
    try driver.record(account, number: 1, bytes: 2_000)
    driver.checkpoint(account)
    if !live {
      let archive = AccountArchive(
        disk: disk, layout: ArchiveLayout(root: Scenario.archive(root), account: Content.account(account)))
      _ = try await archive.createSnapshot(of: driver.engine, kind: .manual)
    }
    driver.split()
    if live {
      for tx in 4...5 { driver.write(account, tx: tx, parts: 1, bytes: 200) }
      return disk.image
    }
    driver.engine.close()
    return disk.image
  }

  package func run() async -> Outcome {
    let total = Lock(Outcome())
    for live in [false, true] {
      do {
        let image = try await Self.make(live: live)
        let original = try Self.read(ImageDisk(image))
        let snapshot = live ? nil : try await Self.readSnapshot(ImageDisk(image))
        try Self.checkClean(image)
        let files = image.files.keys.sorted().filter { !live || $0.hasSuffix(".klog") }
        var data = image
        data.files = image.files.filter { !$0.key.hasPrefix(Scenario.archive(Self.root)) }
        data.directories = image.directories.filter { !$0.hasPrefix(Scenario.archive(Self.root)) }
        let job = Job(image: image, data: data, original: original, snapshot: snapshot)
        for path in files { await flip(path, job, total) }
      } catch {
        total.with { o in
          o.failed += 1
          o.lines.append("FAILED: \(error)")
        }
      }
    }
    return total.with { o in
      for (kind, count) in o.flipped.sorted(by: { $0.key < $1.key }) {
        o.lines.append("\(kind): \(count) bytes flipped")
      }
      o.lines.append(
        "named by verify \(o.named); readers were refused \(o.refused) times, given the right content \(o.same) times")
      return o
    }
  }

  private struct Job: Sendable {
    var image: DiskImage
    /// The same without the archive, which has no part in what is read of the account.
    var data: DiskImage
    var original: Reading
    var snapshot: Reading?
  }

  private func flip(_ path: String, _ job: Job, _ total: Lock<Outcome>) async {
    let count = job.image.files[path]!.count
    await withTaskGroup(of: Void.self) { group in
      for lane in 0..<threads {
        group.addTask {
          var at = offset % stride + lane * stride
          while at < count {
            await Self.one(path, at, job, total)
            at += stride * threads
          }
        }
      }
    }
  }

  private static func one(_ path: String, _ at: Int, _ job: Job, _ total: Lock<Outcome>) async {
    var image = path.hasPrefix(Scenario.archive(root)) ? job.image : job.data
    let bit = UInt8(1) << UInt8((at * 5 + 3) % 8)
    image.files[path]![at] ^= bit
    var complaints: [String] = []
    let findings = verify(image)
    let named = findings.contains { finding in
      finding.path == path && Int(finding.offset) <= at
        && (finding.bytes == 0 || at < Int(finding.offset + finding.bytes))
    }
    if !named {
      let said = findings.prefix(2).map { "\($0) [\($0.bytes)]" }.joined(separator: "; ")
      complaints.append("verify does not name it (\(said.isEmpty ? "it found nothing" : said))")
    }
    var (refused, same) = (0, 0)
    if path.hasPrefix(Scenario.archive(root)) {
      do {
        if try await readSnapshot(ImageDisk(image)) == job.snapshot {
          same += 1
        } else {
          complaints.append("the snapshot restores into something else")
        }
      } catch { refused += 1 }
    } else {
      do {
        if try read(ImageDisk(image)) == job.original {
          same += 1
        } else {
          complaints.append("something else was served")
        }
      } catch { refused += 1 }
    }
    let kind = Scenario.pathClass(path)
    let found = complaints
    total.with { o in
      o.flipped[kind, default: 0] += 1
      if named { o.named += 1 }
      o.refused += refused
      o.same += same
      if found.isEmpty {
        o.passed += 1
      } else {
        o.failed += 1
        if o.lines.count < 60 {
          for complaint in found { o.lines.append("FAILED: \(path) byte \(at) bit \(bit): \(complaint)") }
        }
      }
    }
  }

  private static func verify(_ image: DiskImage) -> [VerifyFinding] {
    do { return try Verify.run(root, disk: ImageDisk(image), keys: .keyEncryption(TestKey(1))).findings } catch {
      return [VerifyFinding(.damage, root, at: 0, bytes: 0, "verify gave up: \(error)")]
    }
  }

  private static func checkClean(_ image: DiskImage) throws {
    let findings = verify(image)
    if let first = findings.first { throw StoreError(.damaged, "the undamaged account has findings: \(first)") }
  }

  private static func read(_ disk: ImageDisk) throws -> Reading {
    let driver = try Driver(configuration(), disk: disk, kek: TestKey(1)) { _ in }
    return try read(driver, Content.account(account))
  }

  private static func read(_ driver: Driver, _ id: AccountID) throws -> Reading {
    var content = Reading()
    let (rows, catalog) = try driver.engine.readNow(id) { connection -> ([[Value]], [RecordingRow]) in
      let check = try connection.query("PRAGMA integrity_check")
      guard check == [[.text("ok")]] else { throw StoreError(.damaged, "integrity check") }
      return (
        try connection.query("SELECT * FROM t ORDER BY id") + connection.query("SELECT * FROM tally"),
        try RecordingCatalog.list(connection, limit: 1_000)
      )
    }.0
    content.rows = rows
    for row in catalog {
      let reader = try driver.engine.recordingNow(id, row.id)
      content.recordings[row.key] = try reader.readNow(offset: 0, count: 1 << 20)
    }
    return content
  }

  /// The snapshot of the archive, restored into an engine of its own.
  private static func readSnapshot(_ disk: ImageDisk) async throws -> Reading {
    let id = Content.account(account)
    let archive = AccountArchive(disk: disk, layout: ArchiveLayout(root: Scenario.archive(root), account: id))
    guard let last = try await archive.list().snapshots.last else { throw StoreError(.notFound, "no snapshot") }
    var target = EngineConfiguration(directory: "/other", node: NodeID(bits: 2))
    target.logFileBytes = 8 << 10
    let driver = try Driver(target, disk: disk, kek: TestKey(1)) { _ in }
    let copy = Content.account(2)
    let key = try Keyring.open(
      disk: disk, path: "\(root)/accounts/\(id)/keyring", account: id, kek: TestKey(1)
    ).accountKey
    let request = RestoreRequest(snapshot: last.id, as: copy, unlockedBy: .accountKey(key))
    _ = try await archive.restore(request, into: driver.engine)
    return try read(driver, copy)
  }
}
