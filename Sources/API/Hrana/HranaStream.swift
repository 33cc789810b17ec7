// A stream of SQL: what lives from one request of a client to its next.
//
// Most streams are light: they hold nothing but stored texts, and their statements run wherever there is room. A stream
// has a session, a connection of its own, only while it is in a transaction or has temporary objects or pragmas set.

package import Base
import ShardStore

package struct HranaStream: Sendable {
  package let account: AccountID
  /// Whose stream it is: a baton is of no use to another credential.
  package let credential: String
  var session: Session?
  /// False while the session is in a transaction.
  var isAutocommit = true
  /// Nanoseconds of CLOCK_MONOTONIC at which the session was opened.
  var sessionSince: UInt64 = 0
  /// What SQL's last_insert_rowid() gives next.
  var lastInsertRowID: Int64 = 0
  package private(set) var storedSQL: [Int32: String] = [:]
  private var storedBytes = 0

  /// Stored texts of one stream.
  static let storedCountMax = 256
  static let storedBytesMax = 64 << 10

  package init(account: AccountID, credential: String) {
    self.account = account
    self.credential = credential
  }

  /// It holds nothing that is bound to this process.
  var isMovable: Bool { session == nil && storedSQL.isEmpty }

  package mutating func store(_ id: Int32, _ sql: String) throws(HranaError) {
    guard storedSQL[id] == nil else { throw HranaError("SQL_STORE_EXISTS", "a text of this number is stored already") }
    guard storedSQL.count < Self.storedCountMax, storedBytes + sql.utf8.count <= Self.storedBytesMax else {
      throw HranaError("SQL_STORE_FULL", "the stream stores too many texts: close some")
    }
    storedSQL[id] = sql
    storedBytes += sql.utf8.count
  }

  package mutating func forget(_ id: Int32) {
    if let sql = storedSQL.removeValue(forKey: id) { storedBytes -= sql.utf8.count }
  }

  package func text(of source: SQLSource) throws(HranaError) -> String {
    switch (source.sql, source.sqlID) {
    case (let sql?, nil): return sql
    case (nil, let id?):
      guard let sql = storedSQL[id] else { throw HranaError("SQL_NOT_FOUND", "no text of this number is stored") }
      return sql
    default: throw HranaError("SQL_SOURCE", "exactly one of sql and sql_id must be given")
    }
  }

  func call(_ statement: HranaStatement) throws(HranaError) -> SQLCall {
    SQLCall(
      sql: try text(of: statement.source), arguments: statement.arguments.map(\.value),
      named: statement.namedArguments.map { ($0.name, $0.value.value) }, wantsRows: statement.wantsRows)
  }
}
