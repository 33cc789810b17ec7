// Runs the requests of one stream while it is in our hands.
//
// Each statement goes to the lightest place that can run it: a pinned read, the writer's batch, or the stream's
// session. A statement that turns out to belong elsewhere has not run yet and moves there.

import Base
import SQLite
import ShardStore

struct HranaExecutor: Sendable {
  typealias Body<T> = @Sendable (SQLRunner, Connection) throws -> T

  let engine: Engine
  let registry: StreamRegistry
  let clock: any StoreClock
  /// By what right this node answers; nil on a node that stands alone.
  let serving: Serving?
  /// What is left for the rest of the request.
  var limits: SQLLimits
  var stream: HranaStream
  /// The newest position that an answer came from.
  private(set) var position: Position?
  /// Something may have been changed: the request cannot be run a second time from its start.
  private(set) var hasWritten = false
  /// When a write is answered though it still waits for other nodes.
  var bound: (deadlines: Deadlines, deadline: ContinuousClock.Instant)?
  /// Of the rows of its results.
  var form = RowForm.json

  init(
    engine: Engine, registry: StreamRegistry, clock: any StoreClock, limits: SQLLimits, stream: HranaStream,
    serving: Serving? = nil
  ) {
    self.engine = engine
    self.registry = registry
    self.clock = clock
    self.limits = limits
    self.stream = stream
    self.serving = serving
  }

  var isAutocommit: Bool { stream.session == nil || stream.isAutocommit }

  // MARK: requests

  mutating func execute(_ statement: HranaStatement) async throws(HranaError) -> StatementResult {
    try await execute(try stream.call(statement), bytesMax: limits.resultBytes)
  }

  mutating func execute(_ call: SQLCall, bytesMax: Int) async throws(HranaError) -> StatementResult {
    if stream.session == nil, call.asksForDefault { return StatementResult() }
    let result = try await run(at: call.likelyPlace, bytesMax: bytesMax) { try $0.run(call, on: $1) }
    remember([.result(result)])
    return result
  }

  mutating func batch(_ batch: HranaBatch) async throws(HranaError) -> [StepOutcome] {
    try await run(try steps(batch), bytesMax: limits.resultBytes)
  }

  func steps(_ batch: HranaBatch) throws(HranaError) -> [BatchRunner.Step] {
    var steps: [BatchRunner.Step] = []
    for step in batch.steps { steps.append(.init(condition: step.condition, call: try stream.call(step.stmt))) }
    return steps
  }

  mutating func run(_ steps: [BatchRunner.Step], bytesMax: Int) async throws(HranaError) -> [StepOutcome] {
    let places = steps.map(\.call.likelyPlace)
    let asTransaction = stream.session == nil && BatchRunner.isTransaction(steps)
    // Separate statements are separate transactions, each in the lightest place.
    if stream.session == nil, !asTransaction, steps.count == 1 || places.contains(.writer), !places.contains(.session) {
      return try await runApart(steps, bytesMax: bytesMax)
    }
    var place = asTransaction ? .writer : places.max() ?? .reader
    var outcomes: [StepOutcome] = []
    repeat {
      let (done, left) = (outcomes, bytesMax - outcomes.reduce(0) { $0 + $1.bytes })
      outcomes = try await run(at: place, bytesMax: left) { runner, connection in
        let batch = BatchRunner(steps: steps, runner: runner)
        return try runner.place == .writer ? batch.runAsMember(on: connection) : batch.run(after: done, on: connection)
      }
      place = .sessionWriter
    } while outcomes.count < steps.count
    remember(outcomes)
    return outcomes
  }

  private mutating func runApart(
    _ steps: [BatchRunner.Step], bytesMax: Int
  ) async throws(HranaError) -> [StepOutcome] {
    var outcomes: [StepOutcome] = []
    var left = bytesMax
    for step in steps {
      if let condition = step.condition, !condition.holds(after: outcomes, isAutocommit: isAutocommit) {
        outcomes.append(.skipped)
        continue
      }
      do {
        let result = try await execute(step.call, bytesMax: left)
        outcomes.append(.result(result))
        left -= outcomes[outcomes.count - 1].bytes
      } catch  where error.code != HranaError.tooLarge && (hasWritten || !error.isMoved) {
        outcomes.append(.error(error))
      }
    }
    return outcomes
  }

  mutating func sequence(_ source: SQLSource) async throws(HranaError) {
    let sql = try stream.text(of: source)
    try await run(at: .sessionWriter, bytesMax: limits.resultBytes) { try $0.runSequence(sql, on: $1) }
  }

  mutating func describe(_ source: SQLSource) async throws(HranaError) -> StatementDescription {
    let sql = try stream.text(of: source)
    return try await run(at: .reader, bytesMax: 0) { runner, connection in
      try connection.asClient(deadline: runner.deadline) {
        guard let statement = try connection.prepare(sql).statement else {
          throw HranaError("SQL_NO_STATEMENT", "the SQL has no statement")
        }
        defer { statement.finalize() }
        return StatementDescription(statement)
      }
    }
  }

  private mutating func remember(_ outcomes: [StepOutcome]) {
    for case .result(let result) in outcomes.reversed() {
      if let id = result.lastInsertRowID { return stream.lastInsertRowID = id }
    }
  }

  // MARK: idempotent requests

  /// Runs a statement or a batch at most once for the same key, as one transaction, and gives the JSON of its result:
  /// the first time and every time.
  mutating func once(_ steps: [BatchRunner.Step], _ idempotency: Idempotency, isBatch: Bool) async throws(HranaError)
    -> [UInt8]
  {
    try await once(steps, idempotency) { outcomes throws(HranaError) in try Self.json(outcomes, isBatch: isBatch) }
  }

  /// As one transaction, at most once where there is a key; what `encode` makes of the outcomes is kept for it.
  mutating func once(
    _ steps: [BatchRunner.Step], _ idempotency: Idempotency?,
    _ encode: @escaping @Sendable ([StepOutcome]) throws(HranaError) -> [UInt8]
  ) async throws(HranaError) -> [UInt8] {
    guard stream.session == nil else { throw Self.notOnce }
    let runner = runner(.writer, bytesMax: limits.resultBytes)
    let asTransaction = BatchRunner.isTransaction(steps)
    do {
      try checkMayWrite()
      let answer = try await bounded { [engine, account = stream.account] in
        try await engine.write(account, idempotency: idempotency) { connection in
          let batch = BatchRunner(steps: steps, runner: runner)
          let outcomes = try asTransaction ? batch.runAsMember(on: connection) : batch.run(after: [], on: connection)
          // What failed is neither kept nor remembered: a repetition tries again.
          if outcomes.contains(where: \.isError) { throw BatchRunner.RolledBack(outcomes: outcomes) }
          return try encode(outcomes)
        }
      }
      hasWritten = true
      note(answer.position)
      return answer.value
    } catch let undone as BatchRunner.RolledBack {
      return try encode(undone.outcomes)
    } catch is SQLRunner.Misplaced {
      throw Self.notOnce
    } catch {
      throw HranaError(thrown: error, writing: true)
    }
  }

  private static let notOnce = HranaError(
    "NOT_APPLIED_IDEMPOTENCY",
    "an Idempotency-Key needs one statement, or a batch that is one transaction, on a stream without a transaction")

  private static func json(_ outcomes: [StepOutcome], isBatch: Bool) throws(HranaError) -> [UInt8] {
    var json = JSONText(capacity: 1024)
    if isBatch {
      json.batchResult(outcomes)
    } else {
      switch outcomes.first {
      case .result(let result): json.result(result)
      case .error(let error): throw error
      case .skipped, nil: json.raw("null")
      }
    }
    return json.bytes
  }

  // MARK: places

  func runner(_ place: SQLCall.Place, bytesMax: Int) -> SQLRunner {
    SQLRunner(
      place: place, form: form, rowsMax: limits.resultRows, bytesMax: bytesMax,
      deadline: clock.monotonicNanoseconds() + limits.timeout)
  }

  /// Runs `body` at `place` or, when it finds that it belongs elsewhere, there.
  private mutating func run<T: Sendable>(
    at place: SQLCall.Place, bytesMax: Int, _ body: @escaping Body<T>
  ) async throws(HranaError) -> T {
    var place = stream.session == nil ? place : place == .writer ? .sessionWriter : max(place, .session)
    while true {
      do {
        let runner = runner(place, bytesMax: bytesMax)
        switch place {
        case .reader: return try await read { try body(runner, $0) }
        case .writer: return try await write { try body(runner, $0) }
        case .session, .sessionWriter:
          return try await runInSession(writes: place == .sessionWriter) { try body(runner, $0) }
        }
      } catch let misplaced as SQLRunner.Misplaced where misplaced.place > place {
        place = misplaced.place
      } catch {
        if let undone = error as? BatchRunner.RolledBack, let outcomes = undone.outcomes as? T { return outcomes }
        throw HranaError(thrown: error, writing: place > .reader)
      }
    }
  }

  private mutating func read<T: Sendable>(_ body: @escaping @Sendable (Connection) throws -> T) async throws -> T {
    let last = stream.lastInsertRowID
    let answer = try await engine.read(stream.account, from: serving.source, confirm: serving.confirm) { connection in
      connection.startMember()
      connection.lastInsertRowID = last
      return try body(connection)
    }
    note(answer.position)
    return answer.value
  }

  private mutating func write<T: Sendable>(_ body: @escaping @Sendable (Connection) throws -> T) async throws -> T {
    try checkMayWrite()
    let answer = try await bounded { [engine, account = stream.account] in try await engine.write(account, body) }
    hasWritten = true
    note(answer.position)
    return answer.value
  }

  /// A standby only reads; whatever may be more than that goes to the primary.
  func checkMayWrite() throws(StoreError) {
    guard serving?.isStandby != true else { throw StoreError(.moved, "a standby answers reads only") }
  }

  /// A session has run: what it did may be seen from now on.
  mutating func noteWritten() { hasWritten = true }

  func bounded<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
    guard let bound else { return try await work() }
    return try await bound.deadlines.bound(bound.deadline, work)
  }

  mutating func note(_ newer: Position) {
    if let position, (position.epoch, position.index) >= (newer.epoch, newer.index) { return }
    position = newer
  }
}
