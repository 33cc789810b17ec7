// What an account's database holds, read whole in one transaction.

import Base
import SQLite
import ShardStore

struct Found: Sendable {
  struct Transaction: Sendable {
    var rows = 0
    var parts = 0
    /// Rows whose content is not what was written.
    var wrong = 0
    var owners: Set<Int> = []
  }

  var integrity = ""
  var hasTables = false
  var tally = 0
  var transactions: [Int: Transaction] = [:]
  var recordings: [Int: RecordingRow] = [:]

  init(_ connection: Connection) throws {
    integrity = try connection.query("PRAGMA integrity_check").first?.first?.text ?? "nothing"
    func has(_ table: String) throws -> Bool {
      try !connection.query("SELECT 1 FROM sqlite_master WHERE name = ?", .text(table)).isEmpty
    }
    // An account whose creation was not confirmed may lack either.
    if try has("komora_recordings") {
      for row in try RecordingCatalog.list(connection, prefix: "calls/", limit: 1_000_000) {
        if let number = Int(row.key.dropFirst(6).dropLast(4)) { recordings[number] = row }
      }
    }
    hasTables = try has("tally")
    guard hasTables else { return }
    tally = Int(try connection.query("SELECT count FROM tally").first?.first?.integer ?? -1)
    for row in try connection.query("SELECT owner, tx, n, parts, body FROM t") {
      guard let owner = row[0].integer, let tx = row[1].integer, let n = row[2].integer, let parts = row[3].integer,
        let body = row[4].blob
      else { throw StoreError(.damaged, "a row of other types than were written") }
      let wanted = Content.body(account: Int(owner), tx: Int(tx), n: Int(n), bytes: body.count)
      transactions[Int(tx), default: Transaction()].rows += 1
      transactions[Int(tx)]!.parts = Int(parts)
      transactions[Int(tx)]!.owners.insert(Int(owner))
      if body != wanted { transactions[Int(tx)]!.wrong += 1 }
    }
  }

  /// What is torn or not as it was written; `owners` are the accounts whose content may be here.
  func problems(owners: Set<Int>) -> [String] {
    var problems: [String] = []
    if integrity != "ok" { problems.append("integrity check: \(integrity)") }
    guard hasTables else { return problems }
    if tally != transactions.count { problems.append("\(transactions.count) transactions, but a tally of \(tally)") }
    for (tx, found) in transactions {
      if found.rows != found.parts {
        problems.append("transaction \(tx) is torn: \(found.rows) of \(found.parts) rows")
      }
      if found.wrong > 0 { problems.append("transaction \(tx) has \(found.wrong) rows that are not what was written") }
      if !found.owners.isSubset(of: owners) { problems.append("transaction \(tx) belongs to another account") }
    }
    return problems
  }
}
