// Takes back what one merge did, inside one transaction: each row that is still as the merge left it becomes what it was
// before, the last change first. A row that changed since is a conflict.

import Base
import SQLite
import ShardStore

struct MergeUndo {
  let policy: MergePolicy
  let live: Connection
  let checks: MergeChecks
  let time: UnixMicroseconds
  var report: MergeReport
  private var tables: [String: Table] = [:]
  private var order: [String] = []
  private var waiting: [MergeJournal.Entry] = []
  let tick: () throws -> Void

  init(
    _ live: Connection, policy: MergePolicy, checks: MergeChecks, at time: UnixMicroseconds, report: MergeReport,
    tick: @escaping () throws -> Void
  ) {
    (self.live, self.policy, self.checks, self.time, self.report, self.tick) = (
      live, policy, checks, time, report, tick
    )
  }

  /// A live table as the merge knew it.
  private struct Table {
    var target: MergeUndoTable?
    var counts: MergeReport.Table
  }

  mutating func run(_ journal: MergeJournal) throws {
    try prepare(journal)
    var undo = self
    try journal.forEachBackwards { entry in
      try undo.tick()
      switch entry.kind {
      case .columns: break
      case .recording: try undo.recording(entry)
      case .row: try undo.row(entry, mayWait: undo.waiting.count < MergeLimits.waitingMax)
      case .made: try undo.made(entry)
      }
    }
    try undo.settle()
    undo.close()
    undo.report.tables = undo.order.compactMap { undo.tables[$0]?.counts }
    self = undo
  }

  /// What the tables looked like comes before their rows, but rows are read backwards.
  private mutating func prepare(_ journal: MergeJournal) throws {
    var undo = self
    try journal.forEachBackwards { entry in
      guard entry.kind == .columns else { return }
      let target = try MergeUndoTable(entry, in: undo.live)
      undo.tables[entry.table] = Table(target: target, counts: MergeReport.Table(name: entry.table))
      undo.order.append(entry.table)
    }
    order = undo.order.reversed()
    tables = undo.tables
  }

  private mutating func close() { for name in order { tables[name]?.target?.close() } }

  // MARK: rows

  private mutating func row(_ entry: MergeJournal.Entry, mayWait: Bool) throws {
    guard let target = tables[entry.table]?.target else {
      return conflict(entry, differences: [], reason: policy == .keep ? nil : Self.altered)
    }
    let found = try target.find(entry.key)
    let isOurs = found.map { MergeJournal.hash($0.image) == entry.after } ?? false
    // Somebody brought it to where it was already.
    if found?.image == entry.before {
      tables[entry.table]?.counts.equal += 1
      return
    }
    guard isOurs || policy == .take else {
      return conflict(entry, differences: target.differences(entry.before, found?.image), reason: nil)
    }
    let outcome = try checks.change { try target.put(entry.before, entry.key, at: found?.place) }
    switch outcome {
    case .done:
      if entry.before == nil {
        tables[entry.table]?.counts.removed += 1
      } else {
        tables[entry.table]?.counts.changed += 1
      }
    case .violated(let reason, let canWait):
      if canWait, mayWait { return waiting.append(entry) }
      report.violations += 1
      report.list(
        MergeReport.Conflict(table: entry.table, key: target.shown(entry.key), differences: [], reason: reason))
    }
  }

  private static let altered =
    "the table was altered or dropped since the merge: its rows cannot be taken back; leave them with --on-conflict keep"

  private mutating func conflict(_ entry: MergeJournal.Entry, differences: [MergeReport.Difference], reason: String?) {
    tables[entry.table]?.counts.conflicts += 1
    if reason != nil { report.violations += 1 }
    let key = tables[entry.table]?.target?.shown(entry.key) ?? entry.key.fields.map(MergeReport.shown)
    report.list(
      MergeReport.Conflict(table: entry.table, key: key, differences: differences, reason: reason))
  }

  private mutating func settle() throws {
    while !waiting.isEmpty {
      let entries = waiting
      waiting = []
      for entry in entries { try row(entry, mayWait: true) }
      guard waiting.count == entries.count else { continue }
      let stuck = waiting
      waiting = []
      for entry in stuck { try row(entry, mayWait: false) }
      return
    }
  }

  /// A table that the merge made again goes when nothing of others is in it and it is declared as the merge left it.
  private mutating func made(_ entry: MergeJournal.Entry) throws {
    try settle()
    guard let target = tables[entry.table]?.target else { return }
    target.close()
    let name = SQLText.quoted(entry.table)
    let isEmpty = try live.query("SELECT 1 FROM main.\(name) LIMIT 1").isEmpty
    let hash = try MergeSchema.hash(of: entry.table, in: live)
    let triggers = try MergeSchema.triggers(on: entry.table, in: live)
    guard isEmpty, hash == entry.after, triggers.isEmpty else {
      // Rows that others wrote are never dropped with it, whatever the policy.
      if policy != .keep {
        tables[entry.table]?.counts.conflicts += 1
        report.violations += policy == .take ? 1 : 0
      }
      return report.list(
        MergeReport.Conflict(
          table: entry.table, key: [], differences: [],
          reason: "the table that the merge made again holds other rows, or was altered, since: it stays"))
    }
    live.forgetStatements()
    try live.execute("DROP TABLE main.\(name)")
    tables[entry.table]?.counts.isDropped = true
    tables[entry.table]?.target = nil
  }

  // MARK: recordings

  private mutating func recording(_ entry: MergeJournal.Entry) throws {
    guard case .text(let bytes)? = entry.key.fields.first else {
      throw BackupError(.damaged, "what undoes the merge of a recording cannot be read")
    }
    let key = String(decoding: bytes, as: UTF8.self)
    let now = try MergeRecordingRows.image(live, key)
    if now == entry.before {
      report.recordings.equal += 1
      return
    }
    guard policy == .take || now.map(MergeJournal.hash) == entry.after else {
      report.recordings.conflicts += 1
      report.list(MergeReport.Conflict(table: nil, key: [key], differences: [], reason: nil))
      return
    }
    if let before = entry.before {
      try RecordingCatalog.putBack(live, MergeRecordingRows.row(before), at: time)
      report.recordings.changed += 1
    } else {
      _ = try RecordingCatalog.delete(live, key: key, at: time)
      report.recordings.removed += 1
    }
  }
}
