// One SQLite connection: to an account's pages, or to a plain file.
//
// It belongs to whoever runs SQL on it at the moment; it locks nothing itself. Its statements end with it.

import Base
import CSQLite
import Glibc

package final class Connection: @unchecked Sendable {
  // Invariant: used by one thread at a time; owners hand it over under a lock or a queue of their own.
  let handle: OpaquePointer
  private let vfs: PagesVFS?
  var sandbox: SandboxState?
  /// Statements by their text. The place stays when its statement is taken, so that a frequent one costs one look-up.
  private final class Place { var idle: [Statement] = [] }
  private var cached: [String: Place] = [:]
  private var cachedCount = 0

  private init(adopting handle: OpaquePointer, vfs: PagesVFS?) {
    self.handle = handle
    self.vfs = vfs
    sqlite3_extended_result_codes(handle, 1)
  }

  /// A connection to the pages of a shard. `cacheKiB` bounds its page cache.
  package convenience init(pages vfs: PagesVFS, readOnly: Bool, cacheKiB: Int = 1024) throws(SQLiteError) {
    let flags = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    let handle = try Self.open("main", flags, vfs: vfs.name)
    self.init(adopting: handle, vfs: vfs)
    var reserved = Int32(Limits.pageReservedBytes)
    sqlite3_file_control(handle, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved)
    try execute("PRAGMA journal_mode=memory")
    try execute("PRAGMA cache_size=-\(cacheKiB)")
    try execute("PRAGMA foreign_keys=on")
  }

  package enum FileMode: Sendable { case readOnly, readWrite, create }

  /// A connection to an ordinary database file, without the page store: control data, imports, restored files.
  package convenience init(path: String, _ mode: FileMode) throws(SQLiteError) {
    let flags =
      switch mode {
      case .readOnly: SQLITE_OPEN_READONLY
      case .readWrite: SQLITE_OPEN_READWRITE
      case .create: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
      }
    self.init(adopting: try Self.open(path, flags, vfs: nil), vfs: nil)
  }

  /// A database in memory with the content of a database file; read-only checks of something restored.
  package convenience init(image: [UInt8]) throws(SQLiteError) {
    let handle = try Self.open(":memory:", SQLITE_OPEN_READWRITE, vfs: nil)
    self.init(adopting: handle, vfs: nil)
    let copy = sqlite3_malloc64(UInt64(max(image.count, 1)))!.assumingMemoryBound(to: UInt8.self)
    image.withUnsafeBufferPointer { if let base = $0.baseAddress { memcpy(copy, base, image.count) } }
    // With FREEONCLOSE SQLite owns `copy` from here on, also when it fails.
    let flags = UInt32(SQLITE_DESERIALIZE_FREEONCLOSE | SQLITE_DESERIALIZE_RESIZEABLE)
    let result = sqlite3_deserialize(handle, "main", copy, Int64(image.count), Int64(image.count), flags)
    guard result == SQLITE_OK else { throw error(result) }
  }

  /// Without the allocator's statistics, and so without its mutex, which all threads would share. It must come before
  /// anything else of the library; a process that had it open before keeps the statistics.
  static let isConfigured = komora_config_memstatus(0) == SQLITE_OK

  private static func open(_ path: String, _ flags: Int32, vfs: String?) throws(SQLiteError) -> OpaquePointer {
    _ = isConfigured
    var handle: OpaquePointer?
    let result = sqlite3_open_v2(path, &handle, flags | SQLITE_OPEN_NOMUTEX, vfs)
    guard result == SQLITE_OK, let handle else {
      let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close_v2(handle)
      throw SQLiteError(result: result, message: message)
    }
    return handle
  }

  deinit {
    for place in cached.values { for statement in place.idle { statement.finalize() } }
    sqlite3_close_v2(handle)
  }

  /// Ends cached statements, so that nothing of them holds a lock or an old schema.
  package func forgetStatements() {
    for place in cached.values { for statement in place.idle { statement.finalize() } }
    cached = [:]
    cachedCount = 0
  }

  func error(_ result: Int32) -> SQLiteError {
    let offset = Int(sqlite3_error_offset(handle))
    let text = sandbox?.takeReason() ?? String(cString: sqlite3_errmsg(handle))
    return SQLiteError(result: result, message: text, sqlOffset: offset >= 0 ? offset : nil)
  }

  // MARK: statements

  /// The first statement of `sql`; nil when there is only white space or comment. `used` counts the bytes it took.
  package func prepare(_ sql: String) throws(SQLiteError) -> (statement: Statement?, used: Int) {
    var statement: OpaquePointer?
    var used = 0
    sandbox?.startStatement()
    var sql = sql
    let result = sql.withUTF8 { text in
      text.withMemoryRebound(to: CChar.self) { chars in
        var tail: UnsafePointer<CChar>?
        // An empty buffer has no address; SQLite takes any pointer with a length of 0.
        guard let base = chars.baseAddress else { return SQLITE_OK }
        let code = sqlite3_prepare_v3(handle, base, Int32(chars.count), 0, &statement, &tail)
        used = tail.map { $0 - base } ?? chars.count
        return code
      }
    }
    guard result == SQLITE_OK else { throw error(result) }
    guard let statement else { return (nil, used) }
    return (Statement(adopting: statement, of: self, effects: sandbox?.effects ?? []), used)
  }

  /// As `prepare` for a single statement that is used often; give it back with `recycle`.
  package func cachedStatement(_ sql: String) throws(SQLiteError) -> Statement {
    let place = cached[sql]
    if let statement = place?.idle.popLast() {
      cachedCount -= 1
      statement.leaveCache(of: self)
      return statement
    }
    let (statement, _) = try prepare(sql)
    guard let statement else { throw SQLiteError(.misuse, name: "SQLITE_MISUSE", message: "there is no statement") }
    statement.cacheKey = sql
    return statement
  }

  /// A client's statement that was kept by `keepForClients`. The texts of others never find it, nor this one theirs:
  /// what was prepared outside the sandbox would stay outside.
  package func clientStatement(_ sql: String) -> Statement? {
    guard let statement = cached[Self.clientKey(sql)]?.idle.popLast() else { return nil }
    cachedCount -= 1
    statement.leaveCache(of: self)
    return statement
  }

  /// Makes `recycle` keep a client's statement, if it is one that may come again and does nothing but change rows.
  package func keepForClients(_ statement: Statement, _ sql: String) {
    guard statement.isPlainWrite, sql.utf8.count <= Self.clientTextMax else { return }
    statement.cacheKey = Self.clientKey(sql)
  }

  private static let clientTextMax = 4096
  private static func clientKey(_ sql: String) -> String { "\0" + sql }

  private func place(for sql: String) -> Place? {
    if let place = cached[sql] { return place }
    // Places that are empty now go first, or texts that never come again would fill the cache for ever.
    if cached.count >= Self.cachedMax { cached = cached.filter { !$0.value.idle.isEmpty } }
    guard cached.count < Self.cachedMax else { return nil }
    let place = Place()
    cached[sql] = place
    return place
  }

  private static let cachedMax = 128

  package func recycle(_ statement: Statement) {
    guard let key = statement.cacheKey, cachedCount < Self.cachedMax, let place = place(for: key) else {
      return statement.finalize()
    }
    statement.reset(clear: true)
    statement.enterCache()
    place.idle.append(statement)
    cachedCount += 1
  }

  /// Runs one statement and drops its rows.
  package func execute(_ sql: String, _ values: Value...) throws(SQLiteError) {
    _ = try run(sql, values, collect: false)
  }

  /// Runs one statement and gives its rows.
  package func query(_ sql: String, _ values: Value...) throws(SQLiteError) -> [[Value]] {
    try run(sql, values, collect: true)
  }

  private func run(_ sql: String, _ values: [Value], collect: Bool) throws(SQLiteError) -> [[Value]] {
    let statement = try cachedStatement(sql)
    defer { recycle(statement) }
    for (i, value) in values.enumerated() { try statement.bind(value, at: i + 1) }
    var rows: [[Value]] = []
    while try statement.step() {
      if collect { rows.append(statement.row) }
    }
    return rows
  }

  /// Runs every statement of a script.
  package func executeScript(_ sql: String) throws(SQLiteError) {
    var rest = Substring(sql)
    while !rest.isEmpty {
      let (statement, used) = try prepare(String(rest))
      rest = Substring(decoding: rest.utf8.dropFirst(max(used, 1)), as: UTF8.self)
      guard let statement else { continue }
      defer { statement.finalize() }
      while try statement.step() {}
    }
  }

  // MARK: state

  package var isAutocommit: Bool { sqlite3_get_autocommit(handle) != 0 }
  package var changes: Int64 { sqlite3_changes64(handle) }
  package var totalChanges: Int64 { sqlite3_total_changes64(handle) }
  package var lastInsertRowID: Int64 {
    get { sqlite3_last_insert_rowid(handle) }
    set { sqlite3_set_last_insert_rowid(handle, newValue) }
  }

  /// Deferred foreign keys that would make COMMIT fail (SQLITE_DBSTATUS_DEFERRED_FKS).
  package var hasDeferredViolations: Bool {
    var now: Int32 = 0
    var high: Int32 = 0
    sqlite3_db_status(handle, SQLITE_DBSTATUS_DEFERRED_FKS, &now, &high, 0)
    return now != 0
  }

  /// Stops what runs; may be called from another thread while the connection is alive.
  package func interrupt() { sqlite3_interrupt(handle) }

  /// The session behind a connection to pages.
  package var pageSession: (any PageSession)? {
    guard vfs != nil else { return nil }
    var file: UnsafeMutablePointer<sqlite3_file>?
    guard sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) == SQLITE_OK, let file else {
      return nil
    }
    return VFSHandle.of(file).session
  }
}
