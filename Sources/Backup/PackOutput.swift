// Where a snapshot's new chunks go: a pack at a time, the next when one is full. Chunks of a finished pack are in the
// archive's index; those of the open one are known here.

import Base
import Disk
import Formats
import OpenSSL
import Threads

final class PackOutput: @unchecked Sendable {
  // Invariant: one snapshot owns it and uses it in one job at a time.
  private let disk: any Disk
  private let layout: ArchiveLayout
  private let index: ArchiveIndex
  private let packBytesMax: Int
  private let gate: ArchiveGate
  private let failedNames: Int
  private let directory: String?
  private var open: PackWriter?
  /// Written by this snapshot in packs that are finished.
  private var mine: Set<ChunkName> = []
  private var packs: [PackID] = []
  /// The packs that have their names.
  var finished: [PackID] { packs }
  private var bytes: UInt64 = 0

  /// Unfinished packs lie in `directory`, which is the packs' own when it is nil.
  init(
    disk: any Disk, layout: ArchiveLayout, index: ArchiveIndex, packBytesMax: Int, gate: ArchiveGate,
    in directory: String? = nil
  ) {
    self.gate = gate
    self.directory = directory
    failedNames = gate.failedNames.with { $0 }
    self.disk = disk
    self.layout = layout
    self.index = index
    precondition(packBytesMax <= PackTrailer.offsetMax / 2, "a pack may not grow that long")
    self.packBytesMax = packBytesMax
  }

  /// Whether the archive or the open pack holds the chunk; copies made before this snapshot count when `trusting`.
  func has(_ name: ChunkName, trusting: Bool) -> Bool {
    if open?.contains(name) == true { return true }
    return trusting ? index.contains(name) : mine.contains(name)
  }

  func add(frame: [UInt8], name: ChunkName) throws(BackupError) {
    if let pack = open, pack.bytes + frame.count > packBytesMax, pack.chunks > 0 { try close(pack) }
    if open == nil {
      var random = SystemRandom()
      open = try PackWriter(disk: disk, layout: layout, id: PackID(from: &random), in: directory)
    }
    try open!.add(frame: frame, name: name)
  }

  /// Ends the open pack and makes all names of packs durable, also those that an earlier, killed snapshot left.
  func finish() throws(BackupError) -> UInt64 {
    if let pack = open { try close(pack) }
    do throws(DiskError) { try disk.syncDirectory(layout.packs) } catch {
      // A later sync may say "ok" although these names are lost: nothing may refer to them any more.
      index.forget(packs)
      gate.failedNames.with { $0 += 1 }
      throw BackupError(error)
    }
    guard gate.failedNames.with({ $0 }) == failedNames else {
      index.forget(packs)
      throw BackupError(.io, "the names of packs could not be made durable meanwhile; try again", path: layout.packs)
    }
    return bytes
  }

  func abandon() {
    open?.abandon()
    open = nil
  }

  private func close(_ pack: PackWriter) throws(BackupError) {
    let entries = try pack.finish()
    open = nil
    index.add(pack: pack.id, entries)
    packs.append(pack.id)
    for entry in entries { mine.insert(entry.name) }
    bytes += entries.reduce(0) { $0 + UInt64($1.bytes) }
  }
}
