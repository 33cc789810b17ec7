// One account's segments: its published records, cut out of the commit log, in files of their own.
//
// Redo, catch-up and archive read them. Records are appended in order and synced before the commit log may forget them.
// A tail that does not parse is either an append that no sync confirmed, which the commit log still holds, or damage;
// the engine decides, since it has read the log.

import Base
import Disk
import Formats
import Threads

final class SegmentStore: Sendable {
  struct State {
    /// First indexes of the files, ascending.
    var files: [LogIndex] = []
    var end: Position
    var lastTime: UnixMicroseconds = 0
    var current: (any DiskFile)?
    var bytes: UInt64 = 0
    /// Bytes behind the last whole record of the last file.
    var torn: (path: String, offset: UInt64)?
    /// Where the last reading stopped: a record's file, index and offset.
    var cursor: (path: String, index: LogIndex, offset: UInt64)?
  }

  private let disk: any Disk
  private let directory: String
  private let account: AccountID
  private let segmentBytes: Int
  private let skipSync: Bool
  let state: Lock<State>

  private init(
    _ disk: any Disk, _ directory: String, _ account: AccountID, _ configuration: EngineConfiguration, _ state: State
  ) {
    self.disk = disk
    self.directory = directory
    self.account = account
    segmentBytes = configuration.segmentBytes
    skipSync = configuration.plantedBugs.contains(.logCutBeforeSegmentSync)
    self.state = Lock(state)
  }

  /// Opens the segments below `directory` and finds their end. `base` is what an account without segments starts from.
  static func open(
    disk: any Disk, directory: String, account: AccountID, base: Position, configuration: EngineConfiguration
  ) throws(StoreError) -> SegmentStore {
    let names = try storing {
      try disk.makeDirectory(directory)
      return try disk.list(directory).filter { $0.hasSuffix(".kseg") }
    }
    var files: [LogIndex] = []
    for name in names {
      guard let index = LogIndex(name.dropLast(5), radix: 16) else {
        throw StoreError(.damaged, "\(directory)/\(name) is not the name of a segment")
      }
      files.append(index)
    }
    let store = SegmentStore(disk, directory, account, configuration, State(files: files.sorted(), end: base))
    try store.findEnd()
    return store
  }

  var end: Position { state.with { $0.end } }
  var lastTime: UnixMicroseconds { state.with { $0.lastTime } }
  var torn: (path: String, offset: UInt64)? { state.with { $0.torn } }

  private func path(_ first: LogIndex) -> String { "\(directory)/\(SegmentHeader.fileName(firstIndex: first))" }

  /// Finds the last whole record. A last file without one is left for the next append to make again: a crash came
  /// between its making and its first sync, or the sync failed.
  private func findEnd() throws(StoreError) {
    var next = LogIndex.max
    while let first = state.with({ $0.files.last }) {
      let path = path(first)
      let bytes = try storing { try disk.readAll(path, limit: 1 << 30) }
      if let (last, offset) = try lastRecord(bytes, path, first: first, before: next) {
        let isTorn = offset < bytes.count && next == .max
        state.with { s in
          s.end = last.position
          s.lastTime = last.header.time
          s.bytes = next == .max ? UInt64(offset) : UInt64(segmentBytes)
          if isTorn { s.torn = (path, UInt64(offset)) }
        }
        return
      }
      state.with { s in
        _ = s.files.popLast()
        s.bytes = UInt64(segmentBytes)
        if bytes.count > SegmentHeader.byteCount { s.torn = (path, 0) }
      }
      next = first
    }
  }

  /// The last whole record before index `next`, and where the bytes behind it begin; nil when there is none.
  private func lastRecord(_ bytes: [UInt8], _ path: String, first: LogIndex, before next: LogIndex) throws(StoreError)
    -> (SealedRecord, Int)?
  {
    let head = bytes.prefix(SegmentHeader.byteCount)
    if head.count < SegmentHeader.byteCount || head.allSatisfy({ $0 == 0 }) { return nil }
    let header: SegmentHeader
    do { header = try SegmentHeader(Array(head)) } catch {
      if error.code == .version { throw StoreError(error, in: path) }
      // Torn before its first sync, or damaged: the engine tells the two apart by the commit log.
      return nil
    }
    guard header.account == account, header.firstIndex == first else {
      throw StoreError(.damaged, "\(path) belongs elsewhere")
    }
    var previous = Position(epoch: 0, index: first - 1, checksum: header.previous)
    var last: SealedRecord?
    var rest = bytes.dropFirst(SegmentHeader.byteCount)
    while let record = try? RecordCodec.parse(rest), Self.follows(record, previous),
      record.header.account == account, record.header.index < next
    {
      previous = record.position
      last = record
      rest = rest.dropFirst(record.frame.count)
    }
    return last.map { ($0, rest.startIndex) }
  }

  private static func follows(_ record: SealedRecord, _ previous: Position) -> Bool {
    record.header.index == previous.index + 1 && record.header.previous == previous.checksum
  }

  /// Appends published records and syncs them. After a failure the file is not used again; the next call makes a new
  /// one from the last position that is known to be durable.
  func append(_ records: [SealedRecord]) throws(StoreError) {
    let end = end
    let new = records.drop { $0.header.index <= end.index }
    guard let first = new.first else { return }
    guard Self.follows(first, end) else {
      throw StoreError(
        .damaged, "account \(account): record \(first.position) does not follow its segments' end \(end)")
    }
    do {
      let file = try openForAppend(first.header)
      var offset = state.with { $0.bytes }
      var batch: [UInt8] = []
      for record in new { batch.append(contentsOf: record.frame) }
      let frames = batch
      try storing {
        try file.write(frames, at: offset)
        if !skipSync { try file.sync() }
      }
      offset += UInt64(frames.count)
      let (last, size) = (new.last!, offset)
      state.with { s in
        s.end = last.position
        s.lastTime = last.header.time
        s.bytes = size
        s.torn = nil
        if size >= UInt64(segmentBytes) { s.current = nil }
      }
    } catch {
      state.with { s in
        s.current = nil
        s.bytes = UInt64(segmentBytes)
      }
      throw error
    }
  }

  private func openForAppend(_ first: RecordHeader) throws(StoreError) -> any DiskFile {
    if let file = state.with({ $0.current }) { return file }
    let (last, bytes) = state.with { ($0.files.last, $0.bytes) }
    if let last, bytes < UInt64(segmentBytes) {
      let path = path(last)
      let file = try storing {
        let file = try disk.open(path, .readWrite)
        // What no sync confirmed is cut, so that it cannot lie behind what comes now.
        try file.truncate(to: bytes)
        return file
      }
      state.with { $0.current = file }
      return file
    }
    let header = SegmentHeader(account: account, firstIndex: first.index, previous: first.previous)
    let path = path(first.index)
    let file = try storing {
      let file = try disk.open(path, .createOrOpen)
      try file.truncate(to: 0)
      try file.write(header.encode(), at: 0)
      try file.sync()
      try disk.syncDirectory(directory)
      return file
    }
    state.with { s in
      s.files.removeAll { $0 == first.index }
      s.files.append(first.index)
      s.current = file
      s.bytes = UInt64(SegmentHeader.byteCount)
    }
    return file
  }

  /// The first record that is still there; nil when there is none.
  var firstIndex: LogIndex? { state.with { $0.files.first } }

  /// Gives every record from `index` to the end, in order.
  func read(from index: LogIndex, _ body: (SealedRecord) throws(StoreError) -> Void) throws(StoreError) {
    let end = end
    let last = try read(from: index, through: end.index) { record throws(StoreError) in
      try body(record)
      return true
    }
    if let last, last.index != end.index {
      throw StoreError(.damaged, "account \(account): its segments end at \(last) instead of \(end)")
    }
  }

  /// Gives the records from `index` through `last`, in order, until `body` says false. Gives the place of the last record
  /// that was looked at.
  @discardableResult
  func read(
    from index: LogIndex, through last: LogIndex, _ body: (SealedRecord) throws(StoreError) -> Bool
  ) throws(StoreError) -> Position? {
    let (files, end) = state.with { ($0.files, $0.end) }
    var previous: Position?
    for (i, first) in files.enumerated() {
      let next = i + 1 < files.count ? files[i + 1] : end.index + 1
      if next <= index || first > min(end.index, last) { continue }
      let path = path(first)
      let (bytes, start, known) = try readFile(path, first: first, near: index)
      var rest = bytes
      var offset = start
      var at = known
      while at < next, at <= last {
        let record: SealedRecord
        do { record = try RecordCodec.parse(rest) } catch {
          throw StoreError(.damaged, "\(path) is damaged at byte \(offset): \(error)")
        }
        guard record.header.index == at, previous.map({ Self.follows(record, $0) }) ?? true else {
          throw StoreError(.damaged, "\(path) is damaged at byte \(offset): record \(record.position) is out of order")
        }
        rest = rest.dropFirst(record.frame.count)
        if at >= index {
          guard try body(record) else {
            remember(path, at, offset)
            return previous
          }
        }
        offset += UInt64(record.frame.count)
        previous = record.position
        at += 1
      }
      if at > index { remember(path, at, offset) }
    }
    return previous
  }

  /// The newest record before `index` that carries its epoch's key. Looks from the last file back.
  func keyRecord(before index: LogIndex) throws(StoreError) -> SealedRecord? {
    let files = state.with { $0.files }
    for (i, first) in files.enumerated().reversed() where first < index {
      let last = i + 1 < files.count ? min(index, files[i + 1]) - 1 : index - 1
      var found: SealedRecord?
      try read(from: first, through: last) { record throws(StoreError) in
        if record.header.carriesKey { found = record }
        return true
      }
      if let found { return found }
    }
    return nil
  }

  /// The file's bytes from where reading stopped last time, if that helps, else from its first record: their offset and the
  /// index of the record there. Who catches up reads a file in many pieces.
  private func readFile(_ path: String, first: LogIndex, near index: LogIndex) throws(StoreError) -> (
    ArraySlice<UInt8>, UInt64, LogIndex
  ) {
    let place = state.with { $0.cursor }
    let (start, at): (UInt64, LogIndex) =
      if let place, place.path == path, place.index <= index { (place.offset, place.index) } else {
        (UInt64(SegmentHeader.byteCount), first)
      }
    let bytes = try storing {
      let file = try disk.open(path, .read)
      let size = try file.size()
      return try file.read(Int(size - min(size, start)), at: start)
    }
    return (bytes[...], start, at)
  }

  private func remember(_ path: String, _ index: LogIndex, _ offset: UInt64) {
    state.with { $0.cursor = (path, index, offset) }
  }

  /// Takes away what lies behind `position`, durably. A crash in the middle leaves a longer log, never a hole.
  func truncate(after position: Position) throws(StoreError) {
    guard end.index > position.index else { return }
    state.with { s in
      s.current = nil
      s.cursor = nil
    }
    let gone = state.with { s in s.files.filter { $0 > position.index } }
    for first in gone.reversed() {
      let path = path(first)
      try storing {
        try disk.remove(path)
        try disk.syncDirectory(directory)
      }
      state.with { s in s.files.removeAll { $0 == first } }
    }
    guard let first = state.with({ $0.files.last }) else {
      state.with { s in
        s.end = position
        s.bytes = UInt64(segmentBytes)
      }
      return
    }
    var (offset, time, kept) = (UInt64(SegmentHeader.byteCount), UnixMicroseconds(0), position)
    let path = path(first)
    let bytes = try storing { try disk.readAll(path, limit: 1 << 30) }
    var rest = bytes.dropFirst(SegmentHeader.byteCount)
    while let record = try? RecordCodec.parse(rest), record.header.index <= position.index {
      rest = rest.dropFirst(record.frame.count)
      offset += UInt64(record.frame.count)
      (time, kept) = (record.header.time, record.position)
    }
    guard kept.index == position.index, kept.checksum == position.checksum else {
      throw StoreError(.damaged, "\(path): the segments have \(kept) where the log was cut at \(position)")
    }
    try storing { [offset] in
      let file = try disk.open(path, .readWrite)
      try file.truncate(to: offset)
      try file.sync()
    }
    state.with { [offset, time, kept] s in
      s.end = kept
      s.lastTime = time
      s.bytes = offset
      s.torn = nil
    }
  }

  /// Writes and syncs again what the commit log still holds, from `index` on. A process before this one may have ended
  /// after a failed sync; then the cache shows records that no later sync makes durable, unless they are written again.
  func settle(from index: LogIndex) throws(StoreError) {
    let (files, end) = state.with { ($0.files, $0.end) }
    var rewritten = false
    for (i, first) in files.enumerated() {
      let next = i + 1 < files.count ? files[i + 1] : end.index + 1
      if next <= index || first > end.index { continue }
      let path = path(first)
      try storing {
        let bytes = try disk.readAll(path, limit: 1 << 30)
        var start = SegmentHeader.byteCount
        var at = first
        while at < index, let record = try? RecordCodec.parse(bytes[start...]) {
          start += record.frame.count
          at += 1
        }
        // A file without older records may not have been made durable at all.
        if at == first { start = 0 }
        let file = try disk.open(path, .readWrite)
        try file.write(Array(bytes[start...]), at: UInt64(start))
        try file.sync()
      }
      rewritten = true
    }
    if rewritten { try storing { try disk.syncDirectory(directory) } }
  }

  func close() { state.with { $0.current = nil } }
}
