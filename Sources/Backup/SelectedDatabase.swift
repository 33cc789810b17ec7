// The part of an old state that a selection chooses, as a database of its own: everything is declared as it was, and of the
// rows and recordings only the chosen ones are in it. It is written anew, so no page holds anything else, free space
// included. Triggers come last and have not fired; foreign keys may lead to rows that were left out.

import Base
import Formats
import SQLite
import ShardStore

/// What a selection makes of a state, in numbers.
package struct SelectionSummary: Sendable, Equatable {
  /// Chosen rows by table.
  package var tables: [(name: String, rows: Int64)] = []
  package var recordings: Int64 = 0
  package var recordingBytes: UInt64 = 0
  package var erased: Int64 = 0
  package var databaseBytes: UInt64 = 0

  package static func == (a: SelectionSummary, b: SelectionSummary) -> Bool { "\(a)" == "\(b)" }
  package var rows: Int64 { tables.reduce(0) { $0 + $1.rows } }
}

struct SelectedDatabase: Sendable {
  let pages: SelectionPages
  let summary: SelectionSummary
  let recordings: [ManifestBody.Recording]
  let erased: [RecordingID]

  /// Reads the old state and builds; `.refused` for what cannot be chosen and for more than 256 MiB of rows.
  init(_ source: MergeSource, _ selection: RowSelection) throws(BackupError) {
    let pages = SelectionPages()
    do {
      let built = try source.query { old in
        let new = try Connection(pages: PagesVFS(host: pages), readOnly: false)
        var build = Build(old: old, new: new, selection: selection, hasKey: source.reader.recordings.hasKey)
        try build.run()
        return build
      }
      self.pages = pages
      var summary = built.summary
      summary.databaseBytes = UInt64(pages.count) * UInt64(Limits.pageBytes)
      self.summary = summary
      (recordings, erased) = (built.recordings, built.erased)
    } catch let error as SQLiteError where error.code == .full {
      throw RowSelection.refusal(
        "the patterns choose more than 256 MiB of rows: restore the whole account, or choose fewer")
    } catch { throw BackupError(anyOf: error) }
  }

  func write(to target: any RestoreTarget) throws {
    for number in 1...pages.count { try target.writePage(PageNumber(number), pages.page(PageNumber(number))) }
  }

  private struct Build {
    let old: Connection
    let new: Connection
    let selection: RowSelection
    let hasKey: (RecordingID) -> Bool
    var summary = SelectionSummary()
    var recordings: [ManifestBody.Recording] = []
    var erased: [RecordingID] = []
    private var chosen = 0

    init(old: Connection, new: Connection, selection: RowSelection, hasKey: @escaping (RecordingID) -> Bool) {
      (self.old, self.new, self.selection, self.hasKey) = (old, new, selection, hasKey)
    }

    mutating func run() throws {
      // Rows come back without those that they refer to.
      try new.execute("PRAGMA foreign_keys=off")
      try new.execute("PRAGMA temp_store=memory")
      new.installSandbox()
      try new.execute("BEGIN IMMEDIATE")
      try new.executeScript(RecordingCatalog.schema)
      try declare("type = 'table'")
      let schema = MergeSchema(old: old, live: new)
      for name in selection.tables {
        let then = try schema.then(name)
        guard let now = try schema.now(name) else {
          throw RowSelection.refusal("the table \(name) cannot be made as it was")
        }
        try copy(then, now)
      }
      try copyRecordings()
      try declare("type != 'table'")
      let version = try old.query("PRAGMA user_version").first?[0].integer ?? 0
      try new.execute("PRAGMA user_version=\(version)")
      try new.execute("COMMIT")
    }

    /// What the account declared, in the order in which it did, under the rules for clients' SQL.
    private func declare(_ condition: String) throws {
      let declared = try old.query(
        """
        SELECT s.name, s.sql FROM main.sqlite_schema AS s WHERE s.sql IS NOT NULL AND s.\(condition)
        AND s.name NOT LIKE 'sqlite~_%' ESCAPE '~' AND s.name NOT LIKE 'komora~_%' ESCAPE '~'
        AND s.tbl_name NOT LIKE 'komora~_%' ESCAPE '~'
        AND s.tbl_name NOT IN (SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow')
        ORDER BY s.rowid
        """)
      for row in declared {
        do {
          // The rules decide about what is declared; a virtual table's own statements are its module's.
          let statement = try new.asClient(deadline: nil) { try new.prepare(row[1].text ?? "").statement }
          defer { statement?.finalize() }
          try statement?.stepOnce()
        } catch let error as SQLiteError where error.code == .error || error.code == .notAuthorized {
          throw RowSelection.refusal(
            "\(row[0].text ?? "") cannot be declared as it was (\(error.message)): restore the whole account")
        }
      }
    }

    private mutating func count() throws {
      chosen += 1
      guard chosen <= MergeLimits.chosenMax else {
        throw RowSelection.refusal(
          "the patterns choose more than \(MergeLimits.chosenMax) rows and recordings: restore the whole account")
      }
    }

    private mutating func copy(_ then: DiffTable, _ now: DiffTable) throws {
      let condition = try RowSelectionSQL.rows(of: then, in: selection)
      let table = try MergeTable(then, in: old, now, in: new)
      defer { table.close() }
      var rows: Int64 = 0
      var build = self
      try table.forEachChosen(condition) { place in
        try build.count()
        _ = try table.insert(try table.oldRow(place), place)
        rows += 1
      }
      self = build
      summary.tables.append((now.name, rows))
    }

    private mutating func copyRecordings() throws {
      var build = self
      var seen: Set<RecordingID> = []
      try MergeRecordingRows(selection: selection, old: old, live: new).forEachChosen { row in
        try build.count()
        guard build.hasKey(row.id) else {
          build.summary.erased += 1
          build.erased.append(row.id)
          return
        }
        try RecordingCatalog.putBack(build.new, row, at: 0)
        build.summary.recordings += 1
        guard seen.insert(row.id).inserted else { return }
        build.summary.recordingBytes += UInt64(row.bytes)
        build.recordings.append(
          ManifestBody.Recording(
            id: row.id, bytes: UInt64(row.bytes), chunks: row.chunkNames.count,
            root: RecordingRoot.hash([row.chunkNames.flatMap { $0 }])))
      }
      self = build
      recordings.sort { $0.id < $1.id }
    }
  }
}
