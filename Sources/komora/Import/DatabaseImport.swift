// Brings a foreign SQLite database into an account, over the account's SQL surface.
//
// Every step (a statement, or a batch of rows) has a number that is the same in every run over the same file, and an
// idempotency key made from it. Rows go in batches of bytes, as the process that reads the file has cut them. The number of steps that are done is kept in a file; what a killed run had sent without
// noting it is answered from the node's memory of keys instead of happening twice. At the end rows are counted.

import Base
import Formats
import Foundation
import SQLite

struct DatabaseImport {
  struct Counts: Equatable {
    var tables = 0
    var rows: Int64 = 0
    var notes: [String] = []
  }

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
      case .rows(let table, let count, let values): try await add(table, count, values)
      case .end: break reading
      case .plan, .failure: throw CommandFailure(.failed, "the process that reads the database sent a second plan")
      }
    }
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

  private mutating func add(_ number: Int, _ count: Int, _ values: ArraySlice<UInt8>) async throws {
    guard plan.tables.indices.contains(number), (1...Limits.rowBatchRowsMax).contains(count),
      (1...Limits.rowBatchColumnsMax).contains(plan.tables[number].columns.count)
    else { throw CommandFailure(.failed, "the process that reads the database sent rows of no table") }
    let table = plan.tables[number]
    if table.isCyclic {
      try await sendCyclic(table, count, values)
    } else {
      let places = Array(repeating: "?", count: table.columns.count).joined(separator: ", ")
      let sql = "\(Self.insert(table)) VALUES (\(places))"
      try await send { client, key in
        try await client.insert(
          RowBatch.encode(sql: sql, columns: table.columns.count, rows: count, values: values), idempotencyKey: key)
      }
    }
    rowsDone += Int64(count)
    let total = plan.tables.reduce(0) { $0 + $1.rows }
    progress(total == 0 ? 1 : Double(rowsDone) / Double(total), "\(rowsDone) of \(total) rows")
  }

  private static func insert(_ table: DatabasePlan.Table) -> String {
    let columns = table.columns.map(ForeignSchema.quote).joined(separator: ", ")
    // Rows of a cyclic table are sent without a key; that they carry their own makes a repetition harmless.
    return "\(table.isCyclic ? "INSERT OR IGNORE" : "INSERT") INTO \(ForeignSchema.quote(table.name)) (\(columns))"
  }

  /// Foreign keys are looked at by the account's writer, so these rows need a connection of their own: one statement of
  /// Hrana's, with all their values.
  private mutating func sendCyclic(_ table: DatabasePlan.Table, _ count: Int, _ values: ArraySlice<UInt8>) async throws
  {
    let rows: [[Value]]
    do { rows = try Self.rows(values, table.columns.count, count) } catch {
      throw CommandFailure(.failed, "the process that reads the database sent nonsense (\(error))")
    }
    for case .real(let number) in rows.joined() where !number.isFinite {
      throw CommandFailure(
        .refused, "\(table.name) has an infinite number, which JSON cannot carry: leave it out with --skip")
    }
    let places = "(" + Array(repeating: "?", count: table.columns.count).joined(separator: ", ") + ")"
    let sql = "\(Self.insert(table)) VALUES \(Array(repeating: places, count: count).joined(separator: ", "))"
    try await send { client, _ in _ = try await client.executeWithoutForeignKeys(.init(sql, rows)) }
  }

  private static func rows(_ values: ArraySlice<UInt8>, _ columns: Int, _ count: Int) throws(FormatError) -> [[Value]] {
    let batch = try RowBatch(RowBatch.encode(sql: "", columns: columns, rows: count, values: values))
    var (reader, row, rows) = (batch.reader(), [RowBatchValue](), [[Value]]())
    while try reader.next(&row) {
      rows.append(
        row.map { value in
          switch value {
          case .null: .null
          case .integer(let number): .integer(number)
          case .real(let number): .real(number)
          case .text(let place): .text(String(decoding: batch.bytes[place], as: UTF8.self))
          case .blob(let place): .blob(Array(batch.bytes[place]))
          }
        })
    }
    return rows
  }

  // MARK: steps

  private mutating func perform(_ sql: String) async throws {
    try await send { client, key in _ = try await client.execute(.init(sql), idempotencyKey: key) }
    try await settle()
  }

  /// Sends a step when the one before has ended, and comes back while it is under way.
  private mutating func send(_ work: @escaping @Sendable (HranaClient, String) async throws -> Void) async throws {
    step += 1
    guard step > state.stepsDone else { return }
    let (client, number, key) = (client, step, "import-\(state.id)-\(step)")
    try await settle()
    let task = Task {
      do { try await work(client, key) } catch let failure as HranaClient.SQLFailure {
        throw CommandFailure(
          HranaClient.mayRepeat(failure) ? .unavailable : .failed,
          "the account refused step \(number): \(failure.message) (\(failure.code))")
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
