// Verifies the snapshots of one archive, as much of them as is wanted, and says what each damage costs.

package import AtRest
package import Base
package import Disk
import Formats
import OpenSSL
import SQLite
import ShardStore

package struct VerifyArchive: Sendable {
  private let disk: any Disk
  private let layout: ArchiveLayout
  private let order: VerifyOrder

  package init(disk: any Disk, layout: ArchiveLayout, _ order: VerifyOrder) {
    self.disk = disk
    self.layout = layout
    self.order = order
  }

  /// `.notFound` without a snapshot, `.cancelled`; damage is a finding and no error. Blocks.
  package func run(
    unlockedBy unlock: KeyringUnlock, now: UnixMicroseconds, progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) throws(BackupError) -> VerifyReport {
    try order.check()
    var report = VerifyReport(path: layout.directory)
    // Else what expires meanwhile would be missing.
    let hold = try onDisk { () throws(DiskError) in try disk.hold(layout.directory, .shared) }
    defer { withExtendedLifetime(hold) {} }
    let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock)
    var broken = MomentVerifier.Broken()
    do { try sweep(opener, now, &broken, &report, progress) } catch { throw BackupError(anyOf: error) }
    if order.moments {
      for directory in [layout.manifests, layout.log] where (try? disk.info(directory)) != nil {
        for file in try onDisk({ () throws(DiskError) in try FileTree.files(disk, directory) }) {
          try FileVerifier(disk: disk).verify(file, &report)
        }
      }
      try VerifyMoments(disk: disk, layout: layout, opener: opener, cancel: order.cancel).run(&report)
    }
    if order.moments || !report.findings.isEmpty {
      try MomentVerifier(disk: disk, layout: layout).verify(broken, hasKeys: true, &report)
    }
    progress(1)
    return report
  }

  /// Chunks of the snapshots that are wanted; `broken` gets what their damage spoils.
  func sweep(
    _ opener: ArchivedAccountKeys, _ now: UnixMicroseconds, _ broken: inout MomentVerifier.Broken,
    _ report: inout VerifyReport, _ progress: @escaping @Sendable (Double) -> Void
  ) throws {
    let index = ArchiveIndex(disk: disk, layout: layout)
    try index.refresh()
    for error in index.damagedPacks where !report.names(error) { report.note(error, in: layout.packs) }
    let snapshots = try chosen(opener, &report)
    guard let first = snapshots.first else {
      guard report.findings.isEmpty else { return }
      throw BackupError(.notFound, "the archive holds no snapshot", path: layout.manifests)
    }
    let reader = SnapshotReader(manifest: first.manifest, index: index, keys: opener.archive, recordings: opener)
    var plan = VerifyPlan(snapshots.map(\.manifest), reader)
    var cursor = cursor(now)
    plan.sample(order.sample, from: cursor?.sampleAt ?? order.random, reader.keys)
    if let cursor, cursor.begun > 0 { plan.skip(before: cursor.pack, cursor.offset, index) }
    plan.makeRuns()
    if cursor?.begun == 0 { cursor?.begun = now }
    let meter = ProgressMeter(total: Double(plan.runs.reduce(0) { $0 + $1.bytes })) { progress($0 * 0.9) }
    let start = cursor
    let sweep = VerifySweep(plan, reader, order) { [self] unit, chunks, bytes, damaged in
      guard let start else { return }
      try save(Self.moved(start, to: unit, index, chunks, bytes, damaged, now, order.sample))
    }
    var (summary, damage) = try sweep.run(meter)
    if let path = order.cursor {
      summary.cursor = try? VerifyCursor(disk.readAll(path, limit: VerifyCursor.byteCount))
    }
    report.units += Int(summary.chunks)
    for one in damage { note(one, plan, snapshots.map(\.path), &broken, &report) }
    if !order.isPart, damage.isEmpty {
      for (path, manifest) in distinctDatabases(snapshots) {
        try order.cancel.check()
        let one = SnapshotReader(manifest: manifest, index: index, keys: opener.archive, recordings: opener)
        do throws(BackupError) { try one.checkIntegrity() } catch {
          report.note(error, in: path)
          summary.damaged += 1
        }
      }
      summary.isDatabaseChecked = true
    }
    report.summaries.append(summary)
  }

  private func chosen(_ opener: ArchivedAccountKeys, _ report: inout VerifyReport) throws(BackupError) -> [(
    path: String, manifest: Manifest
  )] {
    let store = ManifestStore(disk: disk, layout: layout)
    let list = try store.list()
    if order.which == .all {
      for error in list.damaged where !report.names(error) { report.note(error, in: layout.manifests) }
    }
    var wanted = list.snapshots
    switch order.which {
    case .all: break
    case .newest: wanted = wanted.suffix(1)
    case .one(let id):
      wanted = wanted.filter { $0.id == id }
      if wanted.isEmpty {
        throw BackupError(.notFound, "there is no snapshot \(id) in the archive", path: layout.manifests)
      }
    }
    var read: [(path: String, manifest: Manifest)] = []
    for snapshot in wanted {
      do throws(BackupError) { read.append((snapshot.path, try store.read(snapshot.path, keys: opener.archive))) } catch
      {
        guard error.code == .damaged || error.code == .wrongKey else { throw error }
        if !report.names(error) { report.note(error, in: snapshot.path) }
      }
    }
    return read
  }

  private func distinctDatabases(_ snapshots: [(path: String, manifest: Manifest)]) -> [(String, Manifest)] {
    var seen: Set<[UInt8]> = []
    return snapshots.filter { seen.insert($0.manifest.body.databaseRoot).inserted }.map { ($0.path, $0.manifest) }
  }

  private func note(
    _ damage: VerifySweep.Damage, _ plan: VerifyPlan, _ paths: [String], _ broken: inout MomentVerifier.Broken,
    _ report: inout VerifyReport
  ) {
    var error = damage.error
    guard !damage.hasCopy else {
      return report.mendable(
        error.path ?? layout.packs, at: error.offset ?? 0, "\(error.message); another copy of the chunk is whole")
    }
    let lost = plan.snapshots(naming: damage.name, owner: damage.owner)
    let ids = lost.prefix(3).map { "\(plan.manifests[$0].header.snapshot)" }.joined(separator: ", ")
    error.message += "; account \(layout.account) loses \(lost.count) of \(plan.manifests.count) snapshots"
    if !ids.isEmpty { error.message += " (\(ids)\(lost.count > 3 ? " …" : ""))" }
    let path = error.path ?? layout.packs
    broken.snapshots[path, default: []].formUnion(lost.map { paths[$0] })
    guard !report.names(error) else { return }
    report.damage(path, at: error.offset ?? 0, bytes: Int(damage.unit?.bytes ?? 0), error.message)
  }

  // MARK: the cursor

  private func cursor(_ now: UnixMicroseconds) -> VerifyCursor? {
    guard let path = order.cursor else { return nil }
    if let bytes = try? disk.readAll(path, limit: VerifyCursor.byteCount), let found = try? VerifyCursor(bytes),
      found.account == layout.account
    {
      return found
    }
    var fresh = VerifyCursor(account: layout.account)
    fresh.sampleAt = order.random
    return fresh
  }

  private func save(_ cursor: VerifyCursor) throws(BackupError) {
    guard let path = order.cursor else { return }
    try onDisk { () throws(DiskError) in try disk.replaceFile(path, cursor.encode()) }
  }

  private static func moved(
    _ start: VerifyCursor, to unit: VerifyPlan.Unit?, _ index: ArchiveIndex, _ chunks: UInt64, _ bytes: UInt64,
    _ damaged: UInt64, _ now: UnixMicroseconds, _ sample: Double
  ) -> VerifyCursor {
    var next = start
    next.chunks += chunks
    next.bytes += bytes
    next.damaged += damaged
    if let unit {
      (next.pack, next.offset) = (index.packIDs()[Int(unit.pack)], unit.offset)
      return next
    }
    // The round is over; the next sample lies behind this one.
    (next.pack, next.offset, next.chunks, next.bytes, next.damaged) = (PackID(bits: 0), 0, 0, 0, 0)
    if sample < 1 {
      next.sampleAt &+= UInt64(sample * 18_446_744_073_709_549_568)
    } else {
      (next.lastBegun, next.lastEnded) = (start.begun, now)
    }
    next.begun = 0
    return next
  }
}

extension VerifyReport {
  /// Whether the same place was named already.
  func names(_ error: BackupError) -> Bool {
    guard let path = error.path else { return false }
    return findings.contains { $0.path == path && $0.offset == UInt64(error.offset ?? 0) }
  }
}
