// Lets go of what the window has left behind: proof first, then snapshots, then log, then packs.
//
// Nothing goes before what stays has been read back and is whole: the snapshot at the window's border, every record behind
// it, every recording that those name. And nothing goes when any promised moment could not be restored without it.
// Each step is durable before the next: a manifest never names chunks that are gone, and a crash anywhere leaves only
// files that nothing needs, which the next round removes.

import AtRest
import Base
import Disk
import Formats
import ShardStore

struct ArchiveExpiry: Sendable {
  let disk: any Disk
  let layout: ArchiveLayout
  let unlock: KeyringUnlock

  private var store: ManifestStore { ManifestStore(disk: disk, layout: layout) }

  /// Nil when nothing is to go.
  func plan(border: UnixMicroseconds) throws(BackupError) -> ExpiryPlan? {
    let list = try store.list()
    let log = try ArchivedLog(disk: disk, layout: layout).list()
    let map = try MomentMap.read(disk, layout)
    guard let plan = ExpiryPlan(map, snapshots: list.snapshots, runs: log.runs, border: border) else { return nil }
    // What cannot be read might hold what is missed then. Somebody has to look first.
    if let error = (list.damaged + log.damaged).first {
      throw BackupError(
        .damaged, "nothing expires while files of the archive are damaged: \(error.message); see `komora verify`",
        path: error.path, offset: error.offset)
    }
    return plan
  }

  /// Reads back what stays; throws unless every promised moment is whole. Gives the chunks of recordings that records name.
  func prove(_ plan: ExpiryPlan, now: UnixMicroseconds) throws(BackupError) -> Set<ChunkName> {
    let left = try MomentMap(snapshots: plan.keptSnapshots, runs: plan.keptRuns) { (run, place) throws(BackupError) in
      try MomentMap.time(of: place, in: run, disk)
    }
    let lost = MomentLosses.difference(plan.promised, ExpiryPlan.inside(left.spans, from: plan.border))
    guard lost.isEmpty else {
      throw BackupError(
        .refused, "nothing expires: without the old files \(MomentVerifier.text(lost))", path: layout.directory)
    }
    let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock)
    let reader = try SnapshotReader.open(path: plan.base.path, disk: disk, layout: layout, opener)
    let result = try SnapshotProver(reader).run()
    guard result.isWhole else {
      let reason = result.problems.first ?? result.damaged.first.map { "\($0.value)" } ?? "no reason"
      throw BackupError(
        .damaged, "nothing expires: the oldest snapshot to stay is damaged: \(reason)", path: plan.base.path)
    }
    try store.writeProof(reader.manifest, path: plan.base.path, provenAt: now, result, reader.keys)
    for run in plan.keptRuns { _ = try run.read(disk) }
    return try chunks(of: plan.keptRuns, opener, reader.index)
  }

  private func chunks(
    of runs: [LogRun], _ opener: ArchivedAccountKeys, _ index: ArchiveIndex
  ) throws(BackupError) -> Set<ChunkName> {
    let check = LogRecordingsCheck(disk: disk, layout: layout, opener: opener, index: index)
    let (losses, chunks) = try check.run(runs)
    if let loss = losses.first {
      throw BackupError(
        .damaged, "nothing expires: a recording that the archived log names is damaged: \(loss.error.message)",
        path: loss.error.path, offset: loss.error.offset)
    }
    return Set(chunks)
  }

  /// All chunks that what is there now needs. `proven` are those of the runs in `plan`, which need no second look.
  func needed(_ plan: ExpiryPlan, _ proven: Set<ChunkName>) throws(BackupError) -> Set<ChunkName> {
    let opener = try ArchivedAccountKeys.read(disk: disk, layout: layout, unlockedBy: unlock)
    let going = Set(plan.snapshots.map(\.id))
    var names = proven
    let list = try store.list()
    guard list.damaged.isEmpty else { throw list.damaged[0] }
    for snapshot in list.snapshots where !going.contains(snapshot.id) {
      let manifest = try store.read(snapshot.path, keys: opener.archive)
      names.formUnion(manifest.body.groups)
      for recording in manifest.body.recordings where opener.hasKey(recording.id) {
        for number in 0..<recording.chunks { names.insert(opener.archive.name(of: recording.id, chunk: number)) }
      }
    }
    let known = Set((plan.keptRuns + plan.runs).map(\.path))
    let log = try ArchivedLog(disk: disk, layout: layout).list()
    guard log.damaged.isEmpty else { throw log.damaged[0] }
    let index = ArchiveIndex(disk: disk, layout: layout)
    try index.refresh()
    return names.union(try chunks(of: log.runs.filter { !known.contains($0.path) }, opener, index))
  }

  /// Removes the plan's snapshots and runs, durably, in an order that leaves no hole behind a crash.
  func remove(_ plan: ExpiryPlan) throws(BackupError) {
    try onDisk { () throws(DiskError) in
      // A proof without its manifest would be a snapshot that was lost.
      for snapshot in plan.snapshots { try removeIfThere(snapshot.path + ArchiveLayout.proofSuffix) }
      if !plan.snapshots.isEmpty { try disk.syncDirectory(layout.manifests) }
      for snapshot in plan.snapshots { try removeIfThere(snapshot.path) }
      if !plan.snapshots.isEmpty { try disk.syncDirectory(layout.manifests) }
      for run in plan.runs {
        try removeIfThere(run.path)
        // One by one: a hole in what is left would be damage.
        try disk.syncDirectory(layout.log)
      }
    }
  }

  private func removeIfThere(_ path: String) throws(DiskError) {
    do throws(DiskError) { try disk.remove(path) } catch { guard error.code == .notFound else { throw error } }
  }
}
