// Reading the commit log after a restart: what each account had there, in the order of its log.
//
// Files are read in the order of their generations. A group that is not whole ends the log, unless something later shows
// that it was whole once: then it is damage, named with file and byte. A record replaces those that it does not follow,
// whatever their epochs: they were dropped, or never known to be there, or cut for a primary whose log has older ones.

import Base
import Disk
import Formats

struct LogRecovery {
  /// Each account's records, a chain by index and checksum.
  private(set) var chains: [AccountID: [SealedRecord]] = [:]
  /// Of these nothing came from where the log is whole: a file with what replaced their records may be gone.
  private var doubtful: Set<AccountID> = []
  private(set) var greatestGeneration: UInt64 = 0
  /// Every file that was found; all are free once their records are in segments.
  private(set) var files: [(String, any DiskFile)] = []

  private let disk: any Disk
  private let bugs: PlantedBugs
  private static let readBytes = 1 << 20

  init(disk: any Disk, bugs: PlantedBugs) {
    self.disk = disk
    self.bugs = bugs
  }

  mutating func read(_ directory: String, direct: Bool) throws(StoreError) {
    var live: [(header: LogFileHeader, path: String, file: any DiskFile)] = []
    let names = try storing { try disk.list(directory).filter { $0.hasSuffix(".klog") } }
    for name in names {
      let path = "\(directory)/\(name)"
      // Reads go through the page cache; the log writes with a handle of its own.
      let (file, head) = try storing {
        let file = try disk.open(path, .read)
        return (file, try file.read(Limits.logBlockBytes, at: 0))
      }
      let writable = try storing { try disk.open(path, .readWrite, direct: direct) }
      files.append((path, writable))
      // Made but never used: a crash came before its first header was synced.
      if head.allSatisfy({ $0 == 0 }) { continue }
      let header: LogFileHeader
      do { header = try LogFileHeader(head) } catch {
        if try isUnused(file) { continue }
        throw StoreError(error, in: path)
      }
      greatestGeneration = max(greatestGeneration, header.generation)
      live.append((header, path, file))
    }
    let newest = live.max { $0.header.generation < $1.header.generation }?.header
    let (oldest, whole) = (newest?.oldestLive ?? 0, newest?.wholeFrom ?? 0)
    for (header, path, file) in live.sorted(by: { $0.header.generation < $1.header.generation })
    where header.generation >= oldest || bugs.contains(.recycledBlockTaken) {
      try readFile(file, path, header)
      if header.generation < whole { doubtful.formUnion(chains.keys) }
    }
  }

  /// A header that was torn when the file was first used; nothing of any generation follows.
  private func isUnused(_ file: any DiskFile) throws(StoreError) -> Bool {
    try storing {
      let bytes = try file.read(64 << 10, at: UInt64(Limits.logBlockBytes))
      return bytes.allSatisfy { $0 == 0 }
    }
  }

  private mutating func readFile(_ file: any DiskFile, _ path: String, _ header: LogFileHeader) throws(StoreError) {
    var group: [UInt8] = []
    var wanted = 0
    var number: UInt32 = 0
    var groupStart: UInt64 = 0
    /// Where the log ended, once it has; what comes later must not be ours.
    var end: UInt64?
    var offset = UInt64(Limits.logBlockBytes)
    var generation = header.generation
    let size = try storing { try file.size() }
    reading: while true {
      let at = offset
      let bytes = try storing { try file.read(Int(min(UInt64(Self.readBytes), size - min(at, size))), at: at) }
      var within = 0
      while within + Limits.logBlockBytes <= bytes.count {
        let block = bytes[within..<(within + Limits.logBlockBytes)]
        let here = offset + UInt64(within)
        within += Limits.logBlockBytes
        if bugs.contains(.recycledBlockTaken), LogBlock.generation(of: block) > 0 {
          generation = LogBlock.generation(of: block)
        }
        switch LogBlock.read(block, generation: generation) {
        case .damaged:
          throw StoreError(.damaged, "\(path) is damaged: the block at byte \(here) does not match its checksum")
        case .foreign:
          if end == nil { end = wanted > 0 ? groupStart : here }
        case .block(let found):
          let payload = block.dropFirst(LogBlock.headerBytes)
          if end != nil {
            // Blocks of the torn group may lie behind its missing ones, the first included; a later group may not.
            if found == number { continue }
            throw StoreError(.damaged, "\(path) is damaged: records at byte \(end!) are missing before byte \(here)")
          }
          if wanted == 0 {
            guard found == number || bugs.contains(.recycledBlockTaken) else {
              throw StoreError(.damaged, "\(path) is damaged: group \(found) at byte \(here) instead of \(number)")
            }
            groupStart = here
            wanted = payload.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
            group = []
          } else if found != number {
            throw StoreError(.damaged, "\(path) is damaged: the group at byte \(groupStart) is not whole")
          }
          group.append(contentsOf: payload.prefix(wanted - group.count))
          if group.count == wanted {
            try take(group.dropFirst(LogBlock.groupHeaderBytes), path, groupStart)
            wanted = 0
            number += 1
          }
        }
      }
      if bytes.count < Self.readBytes { break reading }
      offset += UInt64(within)
    }
  }

  private mutating func take(_ bytes: ArraySlice<UInt8>, _ path: String, _ at: UInt64) throws(StoreError) {
    var rest = bytes
    while !rest.isEmpty {
      let record: SealedRecord
      do { record = try RecordCodec.parse(rest) } catch {
        throw StoreError(.damaged, "\(path) is damaged: the group at byte \(at): \(error)")
      }
      rest = rest.dropFirst(record.frame.count)
      add(record)
    }
  }

  private mutating func add(_ record: SealedRecord) {
    let header = record.header
    doubtful.remove(header.account)
    var chain = chains[header.account] ?? []
    if let first = chain.first?.header.index, header.index >= first, header.index < first + UInt64(chain.count),
      chain[Int(header.index - first)].header.checksum == header.checksum
    {
      // The same record again changes nothing.
      return
    }
    while let last = chain.last {
      if last.header.checksum == header.previous, last.header.index + 1 == header.index { break }
      chain.removeLast()
    }
    chain.append(record)
    chains[header.account] = chain
  }

  /// Brings an account's segments to where its log ends: cuts what the log has otherwise, and gives what is still to be
  /// appended. The log is the later word, since its files become free in their order.
  func settle(_ account: AccountID, _ segments: SegmentStore) throws(StoreError) -> [SealedRecord] {
    let chain = chains[account] ?? []
    guard let first = chain.first?.header, let last = chain.last?.header else { return [] }
    let isDoubtful = doubtful.contains(account)
    if first.index <= segments.end.index, !isDoubtful || last.epoch > segments.end.epoch {
      try cutReplaced(segments, chain)
    }
    let end = segments.end
    let rest = chain.filter { $0.header.index > end.index && (!isDoubtful || $0.header.epoch >= end.epoch) }
    guard let next = rest.first else { return [] }
    guard next.header.index == end.index + 1, next.header.previous == end.checksum else {
      throw StoreError(
        .damaged,
        "account \(account): its segments end at \(end), the commit log goes on at \(next.position): records are missing"
      )
    }
    return rest
  }

  /// Reads the segments beside the chain; from the first difference on, the chain is the log.
  private func cutReplaced(_ segments: SegmentStore, _ chain: [SealedRecord]) throws(StoreError) {
    guard let from = chain.first?.header.index else { return }
    let isDoubtful = doubtful.contains(chain[0].header.account)
    var place: Position?
    try segments.read(from: from, through: segments.end.index) { record throws(StoreError) in
      let at = Int(record.header.index - from)
      guard at < chain.count else { return false }
      let other = chain[at].header
      if other.checksum == record.header.checksum { return true }
      if !isDoubtful || other.epoch > record.header.epoch {
        place = Position(epoch: 0, index: other.index - 1, checksum: other.previous)
      }
      return false
    }
    if let place { try segments.truncate(after: place) }
  }
}
