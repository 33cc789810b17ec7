// A merge of rows inside the one transaction that it is: every chosen old row is compared with the live one as it is now,
// and inserted, left, changed, or told as a conflict.

import Base
import SQLite

struct MergeRows {
  let selection: RowSelection
  let policy: MergePolicy
  let old: Connection
  let live: Connection
  let checks: MergeChecks
  var journal: MergeJournal
  var report: MergeReport
  var chosen = 0
  /// Called now and then; throws when nobody wants the merge any more.
  let tick: () throws -> Void

  mutating func run() throws {
    let schema = MergeSchema(old: old, live: live)
    for name in selection.tables {
      let then = try schema.then(name)
      var table = MergeReport.Table(name: then.name)
      let now: DiffTable
      if let found = try schema.now(name) {
        now = found
        table.name = found.name
      } else {
        let made = try schema.make(then)
        guard let found = try schema.now(name) else {
          throw RowSelection.refusal("the table \(then.name) cannot be made again as it was declared")
        }
        now = found
        table.isMade = true
        table.indexesLeftOut = made.left
        try journal.add(.made, now.name, key: RowImage([]), before: nil, after: made.hash)
      }
      try merge(then, now, &table)
      report.tables.append(table)
    }
  }

  private mutating func merge(_ then: DiffTable, _ now: DiffTable, _ counts: inout MergeReport.Table) throws {
    let (thenNames, nowNames) = (Set(then.columns.map(SQLText.folded)), Set(now.columns.map(SQLText.folded)))
    counts.columnsThen = then.columns.filter { !nowNames.contains(SQLText.folded($0)) }
    counts.columnsNow = now.columns.filter { !thenNames.contains(SQLText.folded($0)) }
    counts.triggers = try MergeSchema.triggers(on: now.name, in: live)
    let condition = try RowSelectionSQL.rows(of: then, in: selection)
    let table = try MergeTable(then, in: old, now, in: live)
    defer { table.close() }
    // What an undo must find again: rows are remembered by the order of these.
    let columns = RowImage(now.columns.map { .text(Array($0.utf8)[...]) })
    try journal.add(.columns, now.name, key: columns, before: nil, after: [])
    var waiting: [MergeTable.Place] = []
    try table.forEachChosen(condition) { place in
      try count()
      let mayWait = waiting.count < MergeLimits.waitingMax
      if case .waits = try merge(place, table, &counts, mayWait: mayWait) { waiting.append(place) }
    }
    try settle(waiting, table, &counts)
  }

  mutating func count() throws {
    chosen += 1
    if chosen % 256 == 0 { try tick() }
    guard chosen <= MergeLimits.chosenMax else {
      throw RowSelection.refusal(
        "the patterns choose more than \(MergeLimits.chosenMax) rows and recordings: choose fewer, in several merges")
    }
  }

  /// Rows that others stood in the way of, until none of them gets further.
  private mutating func settle(
    _ first: [MergeTable.Place], _ table: MergeTable, _ counts: inout MergeReport.Table
  ) throws {
    var waiting = first
    while !waiting.isEmpty {
      var left: [MergeTable.Place] = []
      for place in waiting {
        try tick()
        if case .waits = try merge(place, table, &counts, mayWait: true) { left.append(place) }
      }
      if left.count == waiting.count {
        for place in left { _ = try merge(place, table, &counts, mayWait: false) }
        return
      }
      waiting = left
    }
  }

  private enum Step {
    case done
    /// Another row stands in its way, which may go yet.
    case waits
  }

  private mutating func merge(
    _ place: MergeTable.Place, _ table: MergeTable, _ counts: inout MergeReport.Table, mayWait: Bool
  ) throws -> Step {
    let old = try table.oldRow(place)
    guard let (row, found) = try table.liveRow(old, place) else {
      var inserted: MergeTable.Place?
      let outcome = try checks.change { inserted = try table.insert(old, place) }
      return try note(outcome, table, old, place, mayWait: mayWait) { merge in
        counts.inserted += 1
        try merge.remember(table, inserted ?? place, before: nil)
      }
    }
    let differing = table.differing(old, row)
    guard !differing.isEmpty else {
      counts.equal += 1
      return .done
    }
    guard policy == .take else {
      counts.conflicts += 1
      report.list(
        MergeReport.Conflict(
          table: table.now.name, key: table.shownKey(old, place),
          differences: differing.map { table.difference($0, old, row) }))
      return .done
    }
    let before = row.image(0..<table.now.columns.count)
    let outcome = try checks.change { try table.update(old, found) }
    return try note(outcome, table, old, place, mayWait: mayWait) { merge in
      counts.changed += 1
      try merge.remember(table, found, before: before)
    }
  }

  private mutating func note(
    _ outcome: MergeChecks.Outcome, _ table: MergeTable, _ old: Statement, _ place: MergeTable.Place, mayWait: Bool,
    _ done: (inout MergeRows) throws -> Void
  ) throws -> Step {
    switch outcome {
    case .done:
      try done(&self)
      return .done
    case .violated(let reason, let canWait):
      if canWait, mayWait { return .waits }
      report.violations += 1
      report.list(
        MergeReport.Conflict(
          table: table.now.name, key: table.shownKey(old, place), differences: [], reason: reason))
      return .done
    }
  }

  private mutating func remember(_ table: MergeTable, _ place: MergeTable.Place, before: RowImage?) throws {
    guard let row = try table.liveRow(at: place) else {
      throw BackupError(.failed, "a row that was merged is not there")
    }
    try journal.add(
      .row, table.now.name, key: table.remembered(row, place), before: before,
      after: MergeJournal.hash(row.image(0..<table.now.columns.count)))
  }
}
