// Verification of the commit log's blocks and of an account's segments.

import AtRest
import Base
import Disk
import Formats
import SQLite

extension StoreVerifier {
  private static let logSuffix = ".klog"

  /// The records that the commit log still holds, for what it may mend; damage is for `verifyCommitLog` to name.
  mutating func readChains() {
    var recovery = LogRecovery(disk: disk, bugs: configuration.plantedBugs)
    guard (try? recovery.read(configuration.logDirectory, direct: false)) != nil else { return }
    chains = recovery.chains
  }

  package mutating func verifyCommitLog() {
    var recovery = LogRecovery(disk: disk, bugs: configuration.plantedBugs)
    let before = findings.count
    let failure: StoreError?
    do {
      try recovery.read(configuration.logDirectory, direct: false)
      failure = nil
    } catch { failure = error }
    chains = failure == nil ? recovery.chains : [:]
    let names = ((try? disk.list(configuration.logDirectory)) ?? []).filter { $0.hasSuffix(Self.logSuffix) }
    for name in names { verifyLogFile("\(configuration.logDirectory)/\(name)") }
    if let failure, findings.count == before {
      damage(configuration.logDirectory, at: 0, bytes: 0, failure.message)
    }
  }

  /// Every block of a file is of its generation, of an older one, or zero; and each is whole.
  private mutating func verifyLogFile(_ path: String) {
    guard let bytes = read(path) else { return }
    let size = Limits.logBlockBytes
    if bytes.allSatisfy({ $0 == 0 }) { return }
    var generation: UInt64?
    do throws(FormatError) { generation = try LogFileHeader(Array(bytes.prefix(size))).generation } catch {
      let unused = bytes.dropFirst(size).allSatisfy { $0 == 0 }
      if unused {
        mendable(path, at: 0, bytes: UInt64(size), "a header whose writing was never confirmed: \(error.message)")
      } else {
        damage(path, at: 0, bytes: UInt64(size), error.message)
      }
    }
    var at = size
    while at < bytes.count {
      let block = bytes[at..<min(at + size, bytes.count)]
      verifyBlock(block, generation, path)
      at += size
    }
  }

  private mutating func verifyBlock(_ block: ArraySlice<UInt8>, _ generation: UInt64?, _ path: String) {
    counts.logBlocks += 1
    if block.allSatisfy({ $0 == 0 }) { return }
    let at = UInt64(block.startIndex)
    guard block.count == Limits.logBlockBytes else {
      return mendable(path, at: at, bytes: UInt64(block.count), "the file ends inside of a block")
    }
    let own = LogBlock.generation(of: block)
    if let generation, case .damaged = LogBlock.read(block, generation: generation) {
      return damage(path, at: at, bytes: UInt64(block.count), "the block does not match its checksum")
    }
    guard case .block = LogBlock.read(block, generation: own) else {
      // Neither this generation's nor any other's: nothing that counts, and yet not what was written.
      return mendable(path, at: at, bytes: UInt64(block.count), "a block that no writer made")
    }
    if let generation, own > generation {
      damage(path, at: at, bytes: UInt64(block.count), "a block of generation \(own) in a file of \(generation)")
    }
  }

  // MARK: segments

  struct LogOutcome {
    /// Pages that redo writes anew: what lies in the main file for them is never read.
    var redone: Set<PageNumber> = []
  }

  mutating func verifySegments(
    _ id: AccountID, _ directory: String, _ keyring: ArchivedKeyring?, _ slot: RedoSlot?
  ) -> LogOutcome {
    let segments = "\(directory)/\(Shard.segmentsName)"
    let names = ((try? disk.list(segments)) ?? []).filter { $0.hasSuffix(".kseg") }
    var walk = SegmentWalk(
      account: id,
      opener: keyring.map {
        RecordOpener(logWrap: $0.keys.logWrap, plain: configuration.plantedBugs.contains(.sealingOff))
      },
      mark: slot?.mark.index ?? 0)
    var files: [(path: String, first: LogIndex)] = []
    for name in names {
      guard let first = LogIndex(name.dropLast(5), radix: 16) else {
        damage("\(segments)/\(name)", at: 0, bytes: 0, "not the name of a segment")
        continue
      }
      files.append(("\(segments)/\(name)", first))
    }
    files.sort { $0.first < $1.first }
    for (i, file) in files.enumerated() {
      let next = i + 1 < files.count ? files[i + 1].first : nil
      verifySegment(file.path, first: file.first, next: next, &walk)
    }
    for record in (chains[id] ?? []) where record.header.index == walk.previous.index + 1 { walk.follow(record) }
    if let slot, walk.previous.index < max(slot.segmentsEnd.index, slot.mark.index) {
      let end = max(slot.segmentsEnd.index, slot.mark.index)
      damage(
        files.last?.path ?? segments, at: 0, bytes: 0, "the log ends at \(walk.previous), but it had reached \(end)")
    }
    return LogOutcome(redone: walk.redone)
  }

  private mutating func verifySegment(_ path: String, first: LogIndex, next: LogIndex?, _ walk: inout SegmentWalk) {
    guard let bytes = read(path) else { return }
    let headerBytes = UInt64(SegmentHeader.byteCount)
    let head = Array(bytes.prefix(SegmentHeader.byteCount))
    if head.count < SegmentHeader.byteCount || bytes.allSatisfy({ $0 == 0 }) {
      return mendable(path, at: 0, bytes: UInt64(bytes.count), "a segment that was never begun")
    }
    do throws(FormatError) {
      let header = try SegmentHeader(head)
      guard header.account == walk.account, header.firstIndex == first else {
        return damage(path, at: 0, bytes: headerBytes, "the segment belongs elsewhere")
      }
      walk.enter(header)
    } catch { return damage(path, at: 0, bytes: headerBytes, error.message) }
    var rest = bytes.dropFirst(SegmentHeader.byteCount)
    while !rest.isEmpty, walk.previous.index + 1 < next ?? .max {
      let at = UInt64(rest.startIndex)
      let record: SealedRecord
      do throws(FormatError) { record = try RecordCodec.parse(rest) } catch {
        return noteGap(path, rest, at, next, walk, error.message)
      }
      guard record.header.account == walk.account, walk.isNext(record) else {
        return noteGap(path, rest, at, next, walk, "record \(record.position) does not follow \(walk.previous)")
      }
      counts.records += 1
      do throws(StoreError) { try walk.take(record) } catch {
        damage(path, at: at, bytes: UInt64(record.frame.count), error.message)
      }
      rest = rest.dropFirst(record.frame.count)
    }
    if !rest.isEmpty {
      mendable(
        path, at: UInt64(rest.startIndex), bytes: UInt64(rest.count), "records behind the last one that was confirmed")
    }
  }

  /// The records end before the file does: what a crash left when the commit log goes on from there, else damage.
  private mutating func noteGap(
    _ path: String, _ rest: ArraySlice<UInt8>, _ at: UInt64, _ next: LogIndex?, _ walk: SegmentWalk, _ message: String
  ) {
    let isInLog = (chains[walk.account] ?? []).contains { walk.isNext($0) }
    // The unit is the record that begins here; where the next begins is not known any more.
    let length = UInt64(rest.count)
    if next == nil, isInLog {
      mendable(path, at: at, bytes: length, "\(message); the commit log has what follows")
    } else {
      damage(path, at: at, bytes: length, message)
    }
  }
}

/// Where a walk over an account's log is.
struct SegmentWalk {
  let account: AccountID
  let opener: RecordOpener?
  let mark: LogIndex
  var previous = Position.start
  var started = false
  var redone: Set<PageNumber> = []

  mutating func enter(_ header: SegmentHeader) {
    guard !started else { return }
    started = true
    previous = Position(epoch: 0, index: header.firstIndex - 1, checksum: header.previous)
  }

  func isNext(_ record: SealedRecord) -> Bool {
    record.header.index == previous.index + 1 && record.header.previous == previous.checksum
  }

  mutating func take(_ record: SealedRecord) throws(StoreError) {
    previous = record.position
    guard let opener else { return }
    if case .pages(let payload) = try opener.open(record), record.header.index > mark {
      redone.formUnion(payload.changes.map(\.number))
    }
  }

  /// A record that only the commit log has.
  mutating func follow(_ record: SealedRecord) {
    guard isNext(record) else { return }
    started = true
    try? take(record)
  }
}
