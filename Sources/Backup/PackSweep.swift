// Removes packs of which nothing is needed, and copies what is needed out of those that are mostly waste.
//
// What it copies is durable and read back before the pack that it came from goes.

import Base
import Disk
import Formats

struct PackSweep {
  let disk: any Disk
  let layout: ArchiveLayout
  let index: ArchiveIndex
  let gate: ArchiveGate
  let packBytesMax: Int

  /// Packs to remove.
  struct Plan {
    var packs: [PackID] = []
    /// Of their files.
    var bytes: UInt64 = 0
    /// Written anew because somebody needs it.
    var copiedBytes: UInt64 = 0
  }

  private struct Candidate {
    var file: PackFile
    var needed: [PackTrailer.Entry]
    var fileBytes: UInt64
    var neededBytes: UInt64 { needed.reduce(0) { $0 + UInt64($1.bytes) } }
  }

  /// Finds the packs without any of `needed`, and empties those that are less than half needed, the emptiest first, up to
  /// `copyBytesMax` in all. A pack that cannot be read stays.
  func prepare(_ needed: Set<ChunkName>, copyBytesMax: UInt64) throws(BackupError) -> Plan {
    var plan = Plan()
    var sparse: [Candidate] = []
    for id in try packs() {
      let candidate: Candidate
      do throws(BackupError) {
        let file = try PackFile(disk: disk, layout: layout, id: id)
        let size = try onDisk { () throws(DiskError) in try disk.info(file.path)?.bytes ?? 0 }
        candidate = Candidate(
          file: file, needed: try file.entries().filter { needed.contains($0.name) }, fileBytes: size)
      } catch {
        guard error.code == .damaged else { throw error }
        continue
      }
      if candidate.needed.isEmpty {
        plan.take(candidate.file.header.pack, candidate.fileBytes)
      } else if candidate.neededBytes < candidate.fileBytes / 2 {
        sparse.append(candidate)
      }
    }
    sparse.sort { $0.neededBytes < $1.neededBytes }
    var chosen: [Candidate] = []
    for candidate in sparse where plan.copiedBytes + candidate.neededBytes <= copyBytesMax {
      plan.copiedBytes += candidate.neededBytes
      chosen.append(candidate)
    }
    for candidate in try copied(chosen) { plan.take(candidate.file.header.pack, candidate.fileBytes) }
    return plan
  }

  /// Those whose chunks lie in other packs now, durably and whole.
  private func copied(_ chosen: [Candidate]) throws(BackupError) -> [Candidate] {
    guard !chosen.isEmpty else { return [] }
    let output = PackOutput(disk: disk, layout: layout, index: index, packBytesMax: packBytesMax, gate: gate)
    do throws(BackupError) {
      var done: [Candidate] = []
      for candidate in chosen where try copy(candidate, to: output) { done.append(candidate) }
      _ = try output.finish()
      for id in output.finished { try readBack(id) }
      return done
    } catch {
      output.abandon()
      throw error
    }
  }

  /// False when one of the chunks is damaged here: then the pack stays.
  private func copy(_ candidate: Candidate, to output: PackOutput) throws(BackupError) -> Bool {
    for entry in candidate.needed where !output.has(entry.name, trusting: false) {
      do throws(BackupError) {
        let frame = try candidate.file.frame(entry.name, at: entry.offset, bytes: entry.bytes)
        try output.add(
          frame: PackFrameHeader.frame(
            kind: frame.header.kind, coding: frame.header.coding, originalBytes: frame.header.originalBytes,
            name: frame.header.name,
            body: Array(frame.body)), name: frame.header.name)
      } catch {
        guard error.code == .damaged else { throw error }
        return false
      }
    }
    return true
  }

  private func readBack(_ id: PackID) throws(BackupError) {
    let file = try PackFile(disk: disk, layout: layout, id: id)
    for entry in try file.entries() { _ = try file.frame(entry.name, at: entry.offset, bytes: entry.bytes) }
  }

  /// After everything that referred to them is durably gone.
  func remove(_ plan: Plan) throws(BackupError) {
    guard !plan.packs.isEmpty else { return }
    index.forget(plan.packs)
    try onDisk { () throws(DiskError) in
      for id in plan.packs { try disk.remove(layout.pack(id)) }
      try disk.syncDirectory(layout.packs)
    }
  }

  private func packs() throws(BackupError) -> [PackID] {
    do throws(DiskError) { return try disk.list(layout.packs).compactMap { ArchiveLayout.packID(ofFile: $0) } } catch {
      guard error.code == .notFound else { throw BackupError(error) }
      return []
    }
  }
}

extension PackSweep.Plan {
  fileprivate mutating func take(_ pack: PackID, _ fileBytes: UInt64) {
    packs.append(pack)
    bytes += fileBytes
  }
}
