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
    let trust = trust(snapshots, opener)
    var plan = VerifyPlan(snapshots.map(\.manifest), reader, visited: trust.order)
    var cursor = cursor(now)
    plan.sample(order.sample, from: cursor?.sampleAt ?? order.random, reader.keys)
    if let cursor, cursor.begun > 0 { plan.skip(before: cursor.pack, cursor.offset, index) }
    plan.makeRuns()
    if cursor?.begun == 0 { cursor?.begun = now }
    let start = cursor
    // Behind the first half comes what no proof covers after all.
    let share = trust.isEmpty ? 0.9 : 0.5
    let meter = Self.meter(plan) { progress($0 * share) }
    let sweep = VerifySweep(plan, reader, order, trust) { [self] unit, chunks, bytes, damaged in
      guard let start else { return }
      try save(Self.moved(start, to: unit, index, chunks, bytes, damaged, now, order.sample))
    }
    var (summary, damage) = try sweep.run(meter)
    let holding = try decodeRest(plan, reader, trust, &summary, &damage) { progress(share + $0 * (0.9 - share)) }
    if let path = order.cursor {
      summary.cursor = try? VerifyCursor(disk.readAll(path, limit: VerifyCursor.byteCount))
    }
    report.units += Int(summary.chunks)
    for one in damage { note(one, plan, snapshots.map(\.path), &broken, &report) }
    if !order.isPart, damage.isEmpty {
      let proven = Set(holding.map { snapshots[$0].manifest.body.databaseRoot })
      let unproven = distinctDatabases(snapshots).filter { !proven.contains($1.body.databaseRoot) }
      for (path, manifest) in unproven {
        try order.cancel.check()
        let one = SnapshotReader(manifest: manifest, index: index, keys: opener.archive, recordings: opener)
        do throws(BackupError) { try one.checkIntegrity() } catch {
          report.note(error, in: path)
          summary.damaged += 1
        }
      }
      (summary.isDatabaseChecked, summary.isDatabaseProven) = (proven.isEmpty, true)
    }
    report.summaries.append(summary)
  }

  /// Once more, decoding, what proofs that turned out not to hold were believed for; gives the snapshots whose proofs hold.
  private func decodeRest(
    _ plan: VerifyPlan, _ reader: SnapshotReader, _ trust: VerifyTrust, _ summary: inout VerifySummary,
    _ damage: inout [VerifySweep.Damage], _ progress: @escaping @Sendable (Double) -> Void
  ) throws -> Set<Int> {
    guard !trust.isEmpty else { return [] }
    let isSampleWhole = !damage.contains { damaged in
      damaged.unit.map { trust.covers($0, in: plan) && trust.samples($0, in: plan) } ?? false
    }
    let holding = isSampleWhole ? trust.holding(in: plan) : []
    let rest = plan.rest(besides: holding, trust)
    if !rest.units.isEmpty {
      // All of these were read before, some decoded or found damaged; now they are judged anew.
      damage.removeAll { $0.unit.map { trust.covers($0, in: plan) } ?? false }
      let sweep = VerifySweep(rest, reader, order, .none(plan.manifests.count)) { _, _, _, _ in }
      let (second, found) = try sweep.run(Self.meter(rest, progress))
      damage += found
      summary.chunksDecoded = UInt64(plan.units.count { !trust.covers($0, in: plan) }) + second.chunksDecoded
      summary.damaged = UInt64(damage.count)
    }
    let missing = UInt64(plan.missing.count)
    summary.chunksProvenEarlier = summary.chunks - min(summary.chunks, summary.chunksDecoded + missing)
    if summary.chunksProvenEarlier > 0 {
      summary.provenAt = holding.compactMap { trust.proofs[$0]?.provenAt }.min()
    }
    return holding
  }

  private static func meter(_ plan: VerifyPlan, _ progress: @escaping @Sendable (Double) -> Void) -> ProgressMeter {
    ProgressMeter(total: Double(plan.runs.reduce(0) { $0 + $1.bytes }), progress)
  }

  /// The proofs beside the snapshots, where proofs are to spare decoding.
  private func trust(_ snapshots: [(path: String, manifest: Manifest)], _ opener: ArchivedAccountKeys) -> VerifyTrust {
    guard order.usesProofs else { return .none(snapshots.count) }
    let store = ManifestStore(disk: disk, layout: layout)
    return VerifyTrust(
      snapshots.map { path, manifest in
        store.provenFrames(of: manifest, path: path, keys: opener.archive).map {
          VerifyTrust.Proof(frames: $0.frames, provenAt: $0.provenAt)
        }
      }, random: order.random)
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
