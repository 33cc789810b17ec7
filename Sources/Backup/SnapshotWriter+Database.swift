// The database's part of a snapshot: which groups an earlier snapshot saves, and the others read, named, coded on two
// threads, and packed.

import Base
import Disk
import Formats
import ShardStore

extension SnapshotWriter {
  /// What need not be read, since it has not changed since an earlier snapshot.
  struct Kept {
    /// By number of the group.
    var names: [Int: ChunkName] = [:]
    /// The database has not changed at all, so neither have the rows that name recordings.
    var isEverything = false
  }

  fileprivate static var groupPages: Int { Limits.snapshotGroupPages }

  func kept(from base: Manifest?, _ source: any SnapshotSource) async throws -> Kept {
    guard let base, base.header.position.index <= source.position.index,
      let changes = try await source.changes(since: base.header.position)
    else { return Kept() }
    let before = base.header.databasePages
    // Pages that were cut away and came back hold what a record says, or zeros that no record says.
    let fewest = min(before, source.databasePages, changes.fewestPages ?? before)
    var kept = Kept()
    for (group, name) in base.body.groups.enumerated() where !changes.groups.contains(group) {
      let end = (group + 1) * Self.groupPages
      guard min(end, source.databasePages) <= fewest, min(end, before) == min(end, source.databasePages),
        output.has(name, trusting: !distrusted.contains(name))
      else { continue }
      kept.names[group] = name
    }
    kept.isEverything = before == source.databasePages && kept.names.count == base.body.groups.count
    return kept
  }

  /// Groups that are read at a time: 4 MiB.
  private static let batchGroups = 64

  func writeDatabase(_ source: any SnapshotSource, _ kept: Kept, _ meter: ProgressMeter, _ cancel: CancelFlag)
    async throws -> [ChunkName]
  {
    let count = (source.databasePages + Self.groupPages - 1) / Self.groupPages
    var names = kept.names
    let batches = Self.batches(of: (0..<count).filter { kept.names[$0] == nil })
    meter.advance((count - batches.reduce(0) { $0 + $1.count }) * Self.groupPages * Limits.pageBytes)
    // The next batch is read while this one is coded.
    var pages = batches.isEmpty ? [] : try await Self.read(batches[0], source)
    for (i, batch) in batches.enumerated() {
      async let next = i + 1 < batches.count ? Self.read(batches[i + 1], source) : []
      for (group, name) in zip(batch, try await write(pages, cancel)) { names[group] = name }
      meter.advance(pages.count)
      pages = try await next
    }
    return (0..<count).map { names[$0]! }
  }

  /// Runs of neighbouring groups.
  private static func batches(of groups: [Int]) -> [Range<Int>] {
    var batches: [Range<Int>] = []
    for group in groups {
      if let last = batches.last, last.upperBound == group, last.count < batchGroups {
        batches[batches.count - 1] = last.lowerBound..<(group + 1)
      } else {
        batches.append(group..<(group + 1))
      }
    }
    return batches
  }

  private static func read(_ batch: Range<Int>, _ source: any SnapshotSource) async throws -> [UInt8] {
    let first = batch.lowerBound * groupPages
    let count = min(batch.upperBound * groupPages, source.databasePages) - first
    let pages = try await source.pages(from: PageNumber(first + 1), count: count)
    guard pages.count == count * Limits.pageBytes else {
      throw BackupError(.failed, "the database gave \(pages.count) bytes for \(count) pages")
    }
    return pages
  }

  private struct Coded: Sendable {
    var name: ChunkName
    /// Nil for a chunk that finished packs hold.
    var frame: [UInt8]?
  }

  private func write(_ pages: [UInt8], _ cancel: CancelFlag) async throws -> [ChunkName] {
    let groupBytes = Self.groupPages * Limits.pageBytes
    let count = (pages.count + groupBytes - 1) / groupBytes
    let work = Coding(coder: coder, index: index, distrusted: distrusted, cancel: cancel)
    async let front = work.code(pages, 0..<(count / 2))
    async let back = work.code(pages, (count / 2)..<count)
    let coded = try await front + back
    let (output, distrusted) = (output, distrusted)
    return try await BackupWork.perform {
      for chunk in coded where !output.has(chunk.name, trusting: !distrusted.contains(chunk.name)) {
        guard let frame = chunk.frame else {
          throw BackupError(.failed, "a pack went away while the snapshot was taken; take it again")
        }
        try output.add(frame: frame, name: chunk.name)
      }
      return coded.map(\.name)
    }
  }

  private struct Coding: Sendable {
    let coder: DatabaseChunkCoder
    let index: ArchiveIndex
    let distrusted: Set<ChunkName>
    let cancel: CancelFlag

    func code(_ pages: [UInt8], _ groups: Range<Int>) async throws -> [Coded] {
      try await BackupWork.perform { try groups.map { try code(pages, $0) } }
    }

    private func code(_ pages: [UInt8], _ number: Int) throws(BackupError) -> Coded {
      try cancel.check()
      let groupBytes = SnapshotWriter.groupPages * Limits.pageBytes
      let start = number * groupBytes
      var group = Array(pages[start..<min(start + groupBytes, pages.count)])
      DatabaseChunkCoder.zeroReserved(&group)
      let name = coder.keys.name(ofDatabase: group)
      let isThere = index.contains(name) && !distrusted.contains(name)
      return Coded(name: name, frame: isThere ? nil : try coder.frame(group, name: name))
    }
  }
}
