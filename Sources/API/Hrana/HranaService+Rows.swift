// `/db/{account}/v1/rows`: one statement, run once for each row of values, in bytes instead of JSON (Formats, row-batch).
//
// For who brings many rows: credential, rights, sandbox, limits and what an Idempotency-Key means are those of a pipeline
// with one statement, and so are the codes of errors; these come with a status of their own, since there is one answer.

import Formats
import HTTPTypes
import Hummingbird
import NIOCore
import OpenSSL
import SQLite
import ShardStore

extension HranaService {
  @Sendable func rows(_ request: Request, _ context: APIContext) async throws -> Response {
    let grant = try access.database(request, context)
    let bytes = try await bytes(of: request, context)
    let batch: RowBatch
    do { batch = try RowBatch(bytes) } catch {
      throw APIError(.badRequest, HranaError("ROWS_INVALID", "the batch of rows cannot be read: \(error)"))
    }
    let idempotency = try idempotency(request, SHA256.hash(bytes))
    var executor = try await executor(for: nil, grant, context)
    let json: [UInt8]
    do throws(HranaError) { json = try await executor.run(batch, idempotency) } catch {
      // Nothing was applied here: the same request goes on to the node that leads by now.
      if error.isMoved { throw ShardMoved() }
      var refusal = APIError(Self.mayPass(error) ? .serviceUnavailable : .badRequest, error)
      if Self.mayPass(error) { refusal.retryAfterSeconds = 1 }
      throw refusal
    }
    return Response(
      status: .ok, headers: headers(executor, "application/json"),
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: json)))
  }

  /// Not the batch's fault, and over in a moment.
  private static func mayPass(_ error: HranaError) -> Bool {
    let passing: Set<String> = ["NOT_APPLIED", "NOT_APPLIED_BUSY", "NOT_APPLIED_SNAPSHOT", "NOT_APPLIED_CLOSED"]
    return passing.contains(error.code) || error.code.hasPrefix("UNKNOWN")
  }
}

extension HranaExecutor {
  /// Runs the batch as one transaction, at most once where there is a key; gives the JSON of the reply, which is kept for it.
  mutating func run(_ batch: RowBatch, _ idempotency: Idempotency?) async throws(HranaError) -> [UInt8] {
    let runner = runner(.writer, bytesMax: 0)
    do {
      try checkMayWrite()
      let answer = try await bounded { [engine, account = stream.account] in
        try await engine.write(account, idempotency: idempotency) { connection in
          var json = JSONText()
          json.raw(#"{"rows":"#)
          json.number(batch.rows)
          json.raw(#","affected_row_count":"#)
          json.number(Int(try runner.run(batch, on: connection)))
          json.raw("}")
          return json.bytes
        }
      }
      noteWritten()
      note(answer.position)
      return answer.value
    } catch is SQLRunner.Misplaced {
      throw HranaError("ROWS_STATEMENT", "rows are for one INSERT, UPDATE or DELETE on the account's own tables")
    } catch {
      throw HranaError(thrown: error, writing: true)
    }
  }
}

extension SQLRunner {
  /// Rows that go in between two looks at the clock.
  private static let rowsBetweenLooks = 256

  /// Runs the statement once for each row. Gives how many rows it has changed. What one row throws ends the batch, and its
  /// caller undoes all of it.
  func run(_ batch: RowBatch, on connection: Connection) throws -> Int64 {
    try connection.asClient(deadline: deadline) {
      let statement = try prepared(batch, on: connection)
      defer { connection.recycle(statement) }
      let before = connection.totalChanges
      var reader = batch.reader()
      var (row, values, number) = ([RowBatchValue](), [PlacedValue](), 0)
      row.reserveCapacity(batch.columns)
      values.reserveCapacity(batch.columns)
      do {
        while try reader.next(&row) {
          values.removeAll(keepingCapacity: true)
          for value in row { values.append(PlacedValue(value)) }
          try statement.run(values, in: batch.bytes)
          number += 1
          guard !number.isMultiple(of: Self.rowsBetweenLooks) || !connection.isPastDeadline else {
            throw HranaError("SQLITE_INTERRUPT", "the batch took longer than a request may: send fewer rows at a time")
          }
        }
      } catch let error as FormatError {
        throw HranaError("ROWS_INVALID", "the batch of rows cannot be read: \(error)")
      }
      return connection.totalChanges - before
    }
  }

  /// As for a call of its own: what was kept is found again by its text.
  private func prepared(_ batch: RowBatch, on connection: Connection) throws -> Statement {
    if let statement = connection.clientStatement(batch.sql) {
      guard statement.parameterCount == batch.columns else {
        connection.recycle(statement)
        throw Self.wrongCount(batch)
      }
      return statement
    }
    let (statement, used) = try connection.prepare(batch.sql)
    guard let statement else { throw HranaError("SQL_NO_STATEMENT", "the SQL has no statement") }
    do {
      let rest = batch.sql.utf8.dropFirst(used)
      if !rest.isEmpty, try connection.prepare(String(Substring(rest))).statement != nil {
        throw HranaError("SQL_MANY_STATEMENTS", "the SQL has more than one statement: send a batch or a sequence")
      }
      try check(statement)
      guard !statement.isReadOnly, !statement.isExplain, statement.columnCount == 0,
        !statement.effects.contains(.schema)
      else { throw Misplaced(place: .session) }
      guard statement.parameterCount == batch.columns else { throw Self.wrongCount(batch) }
      connection.keepForClients(statement, batch.sql)
    } catch {
      statement.finalize()
      throw error
    }
    return statement
  }

  private static func wrongCount(_ batch: RowBatch) -> HranaError {
    HranaError("ARGS_INVALID", "the statement has another number of parameters than the \(batch.columns) of a row")
  }
}

extension PlacedValue {
  fileprivate init(_ value: RowBatchValue) {
    self =
      switch value {
      case .null: .null
      case .integer(let number): .integer(number)
      case .real(let number): .real(number)
      case .text(let place): .text(place)
      case .blob(let place): .blob(place)
      }
  }
}
