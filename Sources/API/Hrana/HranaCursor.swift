// A batch whose result goes out line by line (Hrana 3 specification, "Cursor entries").
//
// A result that is small comes from wherever the batch ran and is in memory already. A larger one is read piece by
// piece from a statement that stays open on the stream's own connection: the next piece is read when the client has
// taken the one before, and no thread waits for a slow client.

import SQLite
import ShardStore

struct HranaCursor: Sendable {
  /// The statement that rows are being taken from. Only `HranaCursor` holds it.
  private final class Open: @unchecked Sendable {
    // Invariant: touched only inside the session's `run`, which runs one body at a time.
    var statement: Statement?
    var changesBefore: Int64 = 0
  }

  var executor: HranaExecutor
  private var steps: [BatchRunner.Step] = []
  private var outcomes: [StepOutcome] = []
  private let open = Open()
  private var writes = false
  /// Bytes of JSON lines that are read before the client takes them.
  static let pieceBytes = 256 << 10

  init(_ executor: HranaExecutor) { self.executor = executor }

  /// Runs the batch and gives its lines, or nil when they are to be read by `next`: the stream has a session, or the
  /// result is larger than a cursor keeps.
  mutating func start(_ batch: HranaBatch) async throws(HranaError) -> [UInt8]? {
    steps = try executor.steps(batch)
    guard executor.stream.session == nil else {
      writes = steps.contains { $0.call.likelyPlace == .writer }
      return nil
    }
    do {
      let outcomes = try await executor.run(steps, bytesMax: executor.limits.cursorBytes)
      var json = JSONText(capacity: 4096)
      for (i, outcome) in outcomes.enumerated() { json.entries(i, outcome) }
      return json.bytes
    } catch  where error.code == HranaError.tooLarge && steps.allSatisfy({ $0.call.likelyPlace == .reader }) {
      // Reading again from the start has no effect on anybody.
      return nil
    }
  }

  /// The next lines; nil at the end.
  mutating func next() async throws(HranaError) -> [UInt8]? {
    guard outcomes.count < steps.count else { return nil }
    let (steps, done, open) = (steps, outcomes, open)
    let deadline = executor.clock.monotonicNanoseconds() + executor.limits.timeout
    do {
      let runner = SQLRunner(
        place: writes ? .sessionWriter : .session, rowsMax: executor.limits.resultRows,
        bytesMax: executor.limits.resultBytes, deadline: deadline)
      let piece = try await executor.runInSession(writes: writes, keeping: true) { connection in
        var piece = Piece(outcomes: done)
        while piece.outcomes.count < steps.count, piece.json.bytes.count < Self.pieceBytes, !piece.needsWriter {
          try connection.asClient(deadline: deadline) { try Self.advance(&piece, steps, open, connection, runner) }
        }
        return piece
      }
      outcomes = piece.outcomes
      writes = writes || piece.needsWriter
      return piece.json.bytes
    } catch {
      throw HranaError(thrown: error, writing: steps.contains { $0.call.likelyPlace != .reader })
    }
  }

  /// Ends what is open and gives the stream back.
  mutating func finish() async -> HranaExecutor {
    let open = open
    if executor.stream.session != nil {
      _ = try? await executor.runInSession(writes: false) { _ in
        open.statement?.finalize()
        open.statement = nil
      }
    }
    return executor
  }

  private struct Piece: Sendable {
    var json = JSONText(capacity: pieceBytes + 4096)
    var outcomes: [StepOutcome]
    /// The next step writes, and the session does not have the writer yet.
    var needsWriter = false
  }

  /// Takes one step further: begins a statement, or reads rows until the piece is full or the statement done.
  private static func advance(
    _ piece: inout Piece, _ steps: [BatchRunner.Step], _ open: Open, _ connection: Connection, _ runner: SQLRunner
  ) throws {
    let number = piece.outcomes.count
    let step = steps[number]
    do {
      if open.statement == nil {
        if let condition = step.condition,
          !condition.holds(after: piece.outcomes, isAutocommit: connection.isAutocommit)
        {
          return piece.outcomes.append(.skipped)
        }
        let statement = try runner.prepared(step.call, on: connection)
        open.statement = statement
        open.changesBefore = connection.totalChanges
        piece.json.beginEntry(number, SQLRunner.columns(of: statement))
      }
      guard let statement = open.statement else { return }
      while try statement.step() {
        guard step.call.wantsRows else { continue }
        piece.json.rowEntry(runner.form.row(of: statement))
        guard piece.json.bytes.count >= pieceBytes else { continue }
        if statement.isReadOnly { return }
        // A statement that writes cannot pause: the writer goes on to others when the engine has it back.
        guard piece.json.bytes.count <= runner.bytesMax else {
          throw HranaError(HranaError.tooLarge, "the result has more bytes than one reply may have")
        }
      }
      var result = StatementResult()
      result.affectedRows = connection.totalChanges == open.changesBefore ? 0 : connection.changes
      result.lastInsertRowID = connection.lastInsertRowID
      piece.json.endEntry(result)
      piece.outcomes.append(.result(result))
    } catch is SQLRunner.Misplaced {
      return piece.needsWriter = true
    } catch let error as SQLiteError where error.endsTransaction {
      throw error
    } catch {
      let shown = HranaError(thrown: error, writing: true)
      piece.json.errorEntry(number, shown)
      piece.outcomes.append(.error(shown))
    }
    open.statement?.finalize()
    open.statement = nil
  }
}

extension JSONText {
  fileprivate mutating func entries(_ step: Int, _ outcome: StepOutcome) {
    switch outcome {
    case .skipped: break
    case .error(let error): errorEntry(step, error)
    case .result(let result):
      beginEntry(step, result.columns)
      for row in result.rows { rowEntry(row) }
      endEntry(result)
    }
  }

  fileprivate mutating func beginEntry(_ step: Int, _ columns: [StatementResult.Column]) {
    raw(#"{"type":"step_begin","step":"#)
    number(step)
    raw(#","cols":"#)
    self.columns(columns)
    raw("}\n")
  }

  fileprivate mutating func rowEntry(_ row: [UInt8]) {
    raw(#"{"type":"row","row":"#)
    raw(row)
    raw("}\n")
  }

  fileprivate mutating func endEntry(_ result: StatementResult) {
    raw(#"{"type":"step_end","affected_row_count":"#)
    number(result.affectedRows)
    raw(#","last_insert_rowid":"#)
    string(result.lastInsertRowID.map { String($0) })
    raw("}\n")
  }

  fileprivate mutating func errorEntry(_ step: Int, _ error: HranaError) {
    raw(#"{"type":"step_error","step":"#)
    number(step)
    raw(#","error":"#)
    self.error(error)
    raw("}\n")
  }
}
