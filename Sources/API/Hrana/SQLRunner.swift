// Runs clients' statements on a connection, inside the sandbox and within the limits of a reply.
//
// It checks after preparing that the statement is where it may run; if not, it has done nothing yet and says where it
// belongs. Synchronous: it runs on the engine's threads.

import SQLite
import ShardStore

struct SQLRunner: Sendable {
  /// The statement needs another place; nothing of it has run.
  struct Misplaced: Error { var place: SQLCall.Place }

  var place: SQLCall.Place
  var form = RowForm.json
  var rowsMax: Int
  var bytesMax: Int
  /// Nanoseconds of CLOCK_MONOTONIC.
  var deadline: UInt64

  /// Runs one statement to its end.
  func run(_ call: SQLCall, on connection: Connection) throws -> StatementResult {
    try connection.asClient(deadline: deadline) {
      let statement = try prepared(call, on: connection)
      defer { connection.recycle(statement) }
      var result = StatementResult(columns: Self.columns(of: statement))
      let before = connection.totalChanges
      var bytes = 0
      while try statement.step() {
        guard call.wantsRows else { continue }
        let row = form.row(of: statement)
        bytes += row.count
        guard bytes <= bytesMax, result.rows.count < rowsMax else {
          throw HranaError(HranaError.tooLarge, "the result has more rows or bytes than one reply may have")
        }
        result.rows.append(row)
      }
      result.affectedRows = connection.totalChanges == before ? 0 : connection.changes
      result.lastInsertRowID = connection.lastInsertRowID
      return result
    }
  }

  /// Runs every statement of a text; stops at the first that fails.
  func runSequence(_ sql: String, on connection: Connection) throws {
    try connection.asClient(deadline: deadline) {
      var rest = Substring(sql)
      while !rest.isEmpty {
        let (statement, used) = try connection.prepare(String(rest))
        rest = Substring(rest.utf8.dropFirst(max(used, 1)))
        guard let statement else { continue }
        defer { statement.finalize() }
        try check(statement)
        while try statement.step() {}
      }
    }
  }

  /// The only statement of `call`, with its values bound.
  func prepared(_ call: SQLCall, on connection: Connection) throws -> Statement {
    // In the batch every statement belongs to the main database, and a kept one was looked at when it came first.
    if place == .writer, let statement = connection.clientStatement(call.sql) {
      do { try bind(call, to: statement) } catch {
        connection.recycle(statement)
        throw error
      }
      return statement
    }
    let (statement, used) = try connection.prepare(call.sql)
    guard let statement else { throw HranaError("SQL_NO_STATEMENT", "the SQL has no statement") }
    do {
      let rest = call.sql.utf8.dropFirst(used)
      if !rest.isEmpty, try connection.prepare(String(Substring(rest))).statement != nil {
        throw HranaError("SQL_MANY_STATEMENTS", "the SQL has more than one statement: send a batch or a sequence")
      }
      try check(statement)
      try bind(call, to: statement)
      if place == .writer { connection.keepForClients(statement, call.sql) }
    } catch {
      statement.finalize()
      throw error
    }
    return statement
  }

  func check(_ statement: Statement) throws(Misplaced) {
    let isStateful = !statement.effects.isDisjoint(with: [.transaction, .savepoint, .temporary, .pragma])
    let needed: SQLCall.Place =
      switch (isStateful || place >= .session, statement.isReadOnly) {
      case (false, true): .reader
      case (false, false): .writer
      case (true, true): .session
      case (true, false): .sessionWriter
      }
    guard needed <= place else { throw Misplaced(place: needed) }
  }

  private func bind(_ call: SQLCall, to statement: Statement) throws {
    let count = statement.parameterCount
    guard call.arguments.count <= count else {
      throw HranaError("ARGS_INVALID", "the statement has \(count) parameters, and \(call.arguments.count) values came")
    }
    var bound = call.arguments.count
    for (i, value) in call.arguments.enumerated() { try statement.bind(value, at: i + 1) }
    for (name, value) in call.named {
      guard let index = ["", ":", "@", "$"].lazy.compactMap({ statement.parameterIndex($0 + name) }).first else {
        throw HranaError("ARGS_INVALID", "the statement has no parameter of a name that came with a value")
      }
      try statement.bind(value, at: index)
      if index > call.arguments.count { bound += 1 }
    }
    guard bound >= count || !call.named.isEmpty else {
      throw HranaError("ARGS_INVALID", "the statement has \(count) parameters, and \(bound) values came")
    }
  }

  static func columns(of statement: Statement) -> [StatementResult.Column] {
    (0..<statement.columnCount).map { .init(name: statement.columnName($0), declaredType: statement.declaredType($0)) }
  }
}
