// Brings a database from a snapshot's position to a later one: the archived records between the two, in order.
//
// Twice over the same files, one in memory at a time. The first walk says what is to come: how many records, how large the
// database is at the end, which transactions are void (their last record is missing and a later epoch follows). The second
// applies: since what is void is known by then, nothing has to be held back until a transaction is whole. Pages wait in a
// bounded cache; a difference finds its base there or in what was written before, and its result's hash says whether it
// was the right one.

import Base
import Disk
import Formats
import OpenSSL
import ShardStore

/// Where the pages are while they are brought up to a moment.
protocol MomentPages: AnyObject, Sendable {
  /// A page that was written before.
  func readPage(_ number: PageNumber) throws -> [UInt8]
  func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws
}

struct LogReplay: Sendable {
  let log: ArchivedLog
  let runs: [LogRun]
  let start: Position
  /// Pages of the database at `start`.
  let startPages: Int
  let end: Position
  let logWrap: SecretBytes
  /// What a test plants; nil in every release.
  var skipped: LogIndex?

  /// What the first walk found.
  struct Survey: Sendable {
    var records = 0
    var bytes: UInt64 = 0
    var files = 0
    var databasePages: Int
    var isVoid: [ClosedRange<LogIndex>] = []
  }

  /// A page that waits takes 4 KiB: 16 MiB.
  static let cachePagesMax = 4096

  func survey() throws(BackupError) -> Survey {
    var survey = Survey(databasePages: startPages)
    guard end.index > start.index else { return survey }
    let replay = RecordReplay(logWrap: logWrap)
    var group: (first: LogIndex, epoch: Epoch)?
    var lastPages: SealedRecord?
    var last = start
    try log.walk(runs, behind: start, through: end.index) { record in
      let header = record.header
      try replay.takeKey(of: record)
      guard header.index > start.index else { return true }
      survey.records += 1
      survey.bytes += UInt64(record.frame.count)
      if let open = group, header.epoch != open.epoch {
        survey.isVoid.append(open.first...(header.index - 1))
        group = nil
      }
      if header.continues {
        if group == nil { group = (header.index, header.epoch) }
      } else {
        group = nil
        if header.kind == .pages { lastPages = record }
      }
      last = record.position
      return true
    }
    guard last == end, group == nil else {
      throw BackupError(.damaged, "the archived log ends at \(last) instead of \(end)", path: log.layout.log)
    }
    if let lastPages { survey.databasePages = Int(try pages(of: lastPages, replay)!.databasePages) }
    survey.files = runs.count { $0.header.last > start.index && $0.header.first <= end.index }
    return survey
  }

  /// Applies everything to `pages`, which hold the database as it was at `start`.
  func run(into pages: any MomentPages, _ survey: Survey, _ meter: ProgressMeter) throws(BackupError) {
    let replay = RecordReplay(logWrap: logWrap)
    var work = Work(pages: pages, startPages: startPages)
    try log.walk(runs, behind: start, through: end.index) { record in
      try replay.takeKey(of: record)
      let index = record.header.index
      guard index > start.index, !survey.isVoid.contains(where: { $0.contains(index) }) else { return true }
      if index != skipped, let payload = try self.pages(of: record, replay) {
        for change in payload.changes { try work.apply(change, record.position) }
        try work.flush(leaving: Self.cachePagesMax)
      }
      meter.advance(record.frame.count)
      return true
    }
    do {
      try work.flush(leaving: 0)
      try work.fill(upTo: survey.databasePages)
    } catch { throw BackupError(anyOf: error) }
  }

  private func pages(of record: SealedRecord, _ replay: RecordReplay) throws(BackupError) -> PagesPayload? {
    guard record.header.kind == .pages else { return nil }
    do throws(StoreError) { return try replay.pages(of: record) } catch { throw BackupError(error) }
  }

  private struct Work {
    let pages: any MomentPages
    let startPages: Int
    var cache: [PageNumber: [UInt8]] = [:]
    /// Behind the snapshot's last page, those that have an image.
    var written: Set<PageNumber> = []

    init(pages: any MomentPages, startPages: Int) {
      self.pages = pages
      self.startPages = startPages
    }

    private func has(_ number: PageNumber) -> Bool { Int(number) <= startPages || written.contains(number) }

    mutating func apply(_ change: PageChange, _ position: Position) throws {
      var base = PageChange.zeros
      if change.base > 0 {
        if let waiting = cache[change.number] {
          base = waiting
        } else {
          guard has(change.number) else {
            throw BackupError(.damaged, "record \(position) changes page \(change.number), which was never there")
          }
          base = try pages.readPage(change.number)
        }
      }
      cache[change.number] = try RecordReplay.image(of: change, from: base, in: position)
      if Int(change.number) > startPages { written.insert(change.number) }
    }

    mutating func flush(leaving limit: Int) throws {
      guard cache.count > limit else { return }
      for (number, image) in cache.sorted(by: { $0.key < $1.key }) { try pages.writePage(number, image) }
      cache = [:]
    }

    /// Pages that SQLite never wrote are zeros.
    mutating func fill(upTo count: Int) throws {
      guard count > startPages else { return }
      for number in (startPages + 1)...count where !written.contains(PageNumber(number)) {
        try pages.writePage(PageNumber(number), PageChange.zeros)
      }
    }
  }
}
