// The sandbox around clients' SQL: an allow-list for the authorizer, limits, and a deadline.
//
// A connection is in system mode while the engine runs its own statements and in client mode while a client's run; the
// authorizer decides at prepare, so statements of the two modes are never mixed. It also notes what a statement touches,
// which tells the edge whether it can join a batch. What the authorizer cannot see, the new name of ALTER TABLE RENAME,
// is checked when the statement is done.

import CSQLite
import Glibc

/// What one prepared statement touches.
package struct StatementEffects: OptionSet, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }
  /// TEMP tables, views, triggers: state of one connection.
  package static let temporary = StatementEffects(rawValue: 1)
  /// BEGIN, COMMIT, ROLLBACK.
  package static let transaction = StatementEffects(rawValue: 2)
  package static let savepoint = StatementEffects(rawValue: 4)
  /// A pragma that changes the connection.
  package static let pragma = StatementEffects(rawValue: 8)
  package static let schema = StatementEffects(rawValue: 16)
}

/// Limits of clients' SQL; the defaults are SECURITY.md's.
package struct SandboxLimits: Sendable {
  package var valueBytes = 16 << 20
  package var sqlBytes = 1 << 20
  package var variables = 32_766
  package init() {}
}

final class SandboxState {
  enum Mode { case system, client }
  var mode = Mode.system
  var effects: StatementEffects = []
  /// Nanoseconds of CLOCK_MONOTONIC at which a client's statement is stopped.
  var deadline: UInt64?
  var changes: Int64 = 0
  var totalChanges: Int64 = 0
  private var reason: String?

  func startStatement() { effects = [] }

  func deny(_ why: String) -> Int32 {
    reason = why
    return SQLITE_DENY
  }

  func takeReason() -> String? {
    defer { reason = nil }
    return reason
  }

  var isPastDeadline: Bool {
    guard let deadline else { return false }
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return UInt64(now.tv_sec) * 1_000_000_000 + UInt64(now.tv_nsec) > deadline
  }
}

extension Connection {
  /// Puts the sandbox around the connection, in system mode.
  package func installSandbox(_ limits: SandboxLimits = SandboxLimits()) {
    let state = SandboxState()
    sandbox = state
    let raw = Unmanaged.passUnretained(state).toOpaque()
    for (option, on) in Self.configuration { komora_db_config(handle, option, on) }
    for (limit, value) in Self.limits(limits) { sqlite3_limit(handle, limit, value) }
    sqlite3_set_authorizer(handle, sandboxAuthorize, raw)
    sqlite3_progress_handler(handle, 2_000, { SandboxState.of($0).isPastDeadline ? 1 : 0 }, raw)
    // The built-in ones count for the connection and would tell a batch's member about the one before it.
    for (name, function) in [("changes", sandboxChanges), ("total_changes", sandboxTotalChanges)] {
      sqlite3_create_function_v2(handle, name, 0, SQLITE_UTF8 | SQLITE_INNOCUOUS, raw, function, nil, nil, nil)
    }
  }

  /// Runs `body` as a client's SQL, which ends at `deadline` (nanoseconds of CLOCK_MONOTONIC).
  package func asClient<R>(deadline: UInt64?, _ body: () throws -> R) rethrows -> R {
    guard let sandbox else { preconditionFailure("a client's SQL without a sandbox") }
    sandbox.mode = .client
    sandbox.deadline = deadline
    defer {
      sandbox.mode = .system
      sandbox.deadline = nil
    }
    return try body()
  }

  /// Forgets what the statements before did, as far as SQL functions tell it.
  package func startMember() {
    sandbox?.changes = 0
    sandbox?.totalChanges = 0
    lastInsertRowID = 0
  }

  func noteChanges() {
    guard let sandbox else { return }
    sandbox.changes = changes
    sandbox.totalChanges += changes
  }

  /// Throws when a client's statement has made or renamed something into the reserved names.
  func checkReservedNames() throws(SQLiteError) {
    guard let sandbox, sandbox.mode == .client else { return }
    sandbox.mode = .system
    defer { sandbox.mode = .client }
    let sql = """
      SELECT name FROM main.sqlite_master WHERE name LIKE 'komora\\_%' ESCAPE '\\' AND name NOT IN (\(Self.systemNames))
      UNION ALL SELECT name FROM temp.sqlite_master WHERE name LIKE 'komora\\_%' ESCAPE '\\'
      """
    let (statement, _) = try prepare(sql)
    defer { statement?.finalize() }
    if let statement, try statement.stepRaw() {
      throw SQLiteError(.notAuthorized, name: "SQLITE_AUTH", message: "names that begin with komora_ are reserved")
    }
  }

  /// Every table and index that the engine makes in an account's database.
  private static let systemNames = """
    'komora_requests','komora_requests_by_time','komora_recordings','komora_recordings_by_id','komora_meta',
    'komora_deleted','komora_objects','komora_uploads','komora_uploads_by_key','komora_upload_parts','komora_restores',
    'komora_restores_by_request','komora_merges','komora_merge_rows'
    """

  private static let configuration: [(Int32, Int32)] = [
    (SQLITE_DBCONFIG_DEFENSIVE, 1), (SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0), (SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0),
    (SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0), (SQLITE_DBCONFIG_DQS_DDL, 0), (SQLITE_DBCONFIG_DQS_DML, 0),
    (SQLITE_DBCONFIG_RESET_DATABASE, 0), (SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0),
  ]

  private static func limits(_ limits: SandboxLimits) -> [(Int32, Int32)] {
    [
      (SQLITE_LIMIT_LENGTH, Int32(limits.valueBytes)), (SQLITE_LIMIT_SQL_LENGTH, Int32(limits.sqlBytes)),
      (SQLITE_LIMIT_VARIABLE_NUMBER, Int32(limits.variables)), (SQLITE_LIMIT_EXPR_DEPTH, 200),
      (SQLITE_LIMIT_COMPOUND_SELECT, 50), (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1_000), (SQLITE_LIMIT_TRIGGER_DEPTH, 20),
      (SQLITE_LIMIT_VDBE_OP, 250_000), (SQLITE_LIMIT_FUNCTION_ARG, 100), (SQLITE_LIMIT_WORKER_THREADS, 0),
      (SQLITE_LIMIT_ATTACHED, 0), (SQLITE_LIMIT_COLUMN, 2_000),
    ]
  }
}

extension SandboxState {
  static func of(_ raw: UnsafeMutableRawPointer?) -> SandboxState {
    Unmanaged<SandboxState>.fromOpaque(raw!).takeUnretainedValue()
  }
}

private let sandboxChanges: @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void = {
  context, _, _ in
  sqlite3_result_int64(context, SandboxState.of(sqlite3_user_data(context)).changes)
}
private let sandboxTotalChanges: @convention(c) (OpaquePointer?, Int32, UnsafeMutablePointer<OpaquePointer?>?) -> Void =
  { context, _, _ in
    sqlite3_result_int64(context, SandboxState.of(sqlite3_user_data(context)).totalChanges)
  }
