// Brings a foreign SQLite database into an account, over the account's SQL surface.
//
// Every step (a statement, or a batch of rows) has a number that is the same in every run over the same file, and an
// idempotency key made from it. The number of steps that are done is kept in a file; what a killed run had sent without
// noting it is answered from the node's memory of keys instead of happening twice. At the end rows are counted.

import Base
import Foundation
import SQLite

struct DatabaseImport {
  struct Counts: Equatable {
    var tables = 0
    var rows: Int64 = 0
    var notes: [String] = []
  }

  static let batchRowsMax = 500
  static let batchBytesMax = 1 << 20
  static let batchValuesMax = 16_000

  let client: HranaClient
  let statePath: String
  let progress: @Sendable (Double, String) -> Void
  private var state: ImportState
  private var plan = DatabasePlan(creates: [], tables: [], finishes: [], sequences: [:], notes: [])
  private var step = 0
  private var rowsDone: Int64 = 0
  private var notes: [String] = []
  /// The rows that are on their way while the next ones are read; and their step.
  private var sent: (step: Int, task: Task<Void, any Error>)?
  private var batch: (table: Int, rows: [[Value]], bytes: Int) = (0, [], 0)

  init(
    client: HranaClient, state: ImportState, statePath: String, progress: @escaping @Sendable (Double, String) -> Void
  ) {
    self.client = client
    self.state = state
    self.statePath = statePath
    self.progress = progress
  }

  mutating func run(_ child: DatabaseChild) async throws -> Counts {
    do { return try await load(child) } catch {
      sent?.task.cancel()
      throw error
    }
  }

  private mutating func load(_ child: DatabaseChild) async throws -> Counts {
    guard case .plan(let json) = try Self.checked(await child.next()),
      let plan = try? JSONDecoder().decode(DatabasePlan.self, from: Data(json))
    else { throw CommandFailure(.failed, "the process that reads the database sent no plan") }
    self.plan = plan
    notes = plan.notes
    for sql in plan.creates { try await perform(sql) }
    reading: while true {
      switch try Self.checked(await child.next()) {
      case .row(let table, let values): try await add(table, values)
      case .end: break reading
      case .plan, .failure: throw CommandFailure(.failed, "the process that reads the database sent a second plan")
      }
    }
    try await flush()
    try await settle()
    for sql in plan.finishes { try await perform(sql) }
    for (table, sequence) in plan.sequences.sorted(by: { $0.key < $1.key }) { await raise(table, to: sequence) }
    try await compareCounts()
    return Counts(tables: plan.tables.count, rows: rowsDone, notes: notes)
  }

  private static func checked(_ frame: DatabaseFrame) throws(CommandFailure) -> DatabaseFrame {
    guard case .failure(let refused, let text) = frame else { return frame }
    throw CommandFailure(refused ? .refused : .failed, text)
  }

  // MARK: rows

  private mutating func add(_ table: Int, _ values: [Value]) async throws {
    guard plan.tables.indices.contains(table), values.count == plan.tables[table].columns.count else {
      throw CommandFailure(.failed, "the process that reads the database sent a row of no table")
    }
    for case .real(let number) in values where !number.isFinite {
      throw CommandFailure(
        .refused, "\(plan.tables[table].name) has an infinite number, which JSON cannot carry: leave it out with --skip"
      )
    }
    let bytes = values.reduce(0) { $0 + Self.size($1) }
    let valueCount = (batch.rows.count + 1) * values.count
    if !batch.rows.isEmpty,
      batch.table != table || batch.rows.count >= Self.batchRowsMax || batch.bytes + bytes > Self.batchBytesMax
        || valueCount > Self.batchValuesMax
    {
      try await flush()
    }
    batch.table = table
    batch.rows.append(values)
    batch.bytes += bytes
  }

  private static func size(_ value: Value) -> Int {
    switch value {
    case .text(let text): text.utf8.count
    case .blob(let bytes): bytes.count * 4 / 3
    default: 24
    }
  }

  private mutating func flush() async throws {
    guard !batch.rows.isEmpty else { return }
    let table = plan.tables[batch.table]
    let rows = batch.rows
    batch = (0, [], 0)
    let columns = table.columns.map(ForeignSchema.quote).joined(separator: ", ")
    let places = "(" + Array(repeating: "?", count: table.columns.count).joined(separator: ", ") + ")"
    let values = Array(repeating: places, count: rows.count).joined(separator: ", ")
    // Rows of a cyclic table are sent without a key; that they carry their own makes a repetition harmless.
    let verb = table.isCyclic ? "INSERT OR IGNORE INTO" : "INSERT INTO"
    try await send(
      "\(verb) \(ForeignSchema.quote(table.name)) (\(columns)) VALUES \(values)", rows,
      withoutForeignKeys: table.isCyclic)
    rowsDone += Int64(rows.count)
    let total = plan.tables.reduce(0) { $0 + $1.rows }
    progress(total == 0 ? 1 : Double(rowsDone) / Double(total), "\(rowsDone) of \(total) rows")
  }

  // MARK: steps

  private mutating func perform(_ sql: String) async throws {
    try await send(sql, [], withoutForeignKeys: false)
    try await settle()
  }

  /// Sends a step when the one before has ended, and comes back while it is under way.
  private mutating func send(_ sql: String, _ rows: [[Value]], withoutForeignKeys: Bool) async throws {
    step += 1
    guard step > state.stepsDone else { return }
    let (client, number, key) = (client, step, "import-\(state.id)-\(step)")
    let statement = HranaClient.Encoded(sql, rows)
    try await settle()
    let task = Task {
      do {
        if withoutForeignKeys {
          _ = try await client.executeWithoutForeignKeys(statement)
        } else {
          _ = try await client.execute(statement, idempotencyKey: key)
        }
      } catch let failure as HranaClient.SQLFailure {
        throw CommandFailure(.failed, "the account refused step \(number): \(failure.message) (\(failure.code))")
      }
    }
    sent = (number, task)
  }

  /// Waits for the step that is under way, and notes that it is done.
  private mutating func settle() async throws {
    guard let (number, task) = sent else { return }
    sent = nil
    try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
    state.stepsDone = number
    try state.save(statePath)
  }

  /// AUTOINCREMENT never gives an id again that was given in the old database either. The counter may be out of a
  /// client's reach; then that is said.
  private mutating func raise(_ table: String, to sequence: Int64) async {
    do {
      _ = try await client.execute(
        .init("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?", [[.integer(sequence), .text(table)]]),
        idempotencyKey: nil)
    } catch {
      notes.append("the AUTOINCREMENT counter of \(table) starts behind its greatest row id, not at \(sequence)")
    }
  }

  private func compareCounts() async throws {
    for table in plan.tables {
      let answer = try await client.execute(
        .init("SELECT count(*) FROM \(ForeignSchema.quote(table.name))"), idempotencyKey: nil)
      let count = answer["rows"]?.list?.first?.list?.first?["value"]?.integer
      guard count == table.rows else {
        throw CommandFailure(
          .failed,
          "\(table.name) has \(count ?? -1) rows here and \(table.rows) in the file: import into an empty account"
        )
      }
    }
  }
}
