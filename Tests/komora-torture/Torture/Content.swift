// What the stories write: content that follows from its name, so that a check needs no copy of it.

import Base
import SQLite

enum Content {
  static let schema = """
    CREATE TABLE t (
      id INTEGER PRIMARY KEY, owner INTEGER NOT NULL, tx INTEGER NOT NULL, n INTEGER NOT NULL, parts INTEGER NOT NULL,
      body BLOB);
    CREATE INDEX t_by_tx ON t (tx);
    CREATE TABLE tally (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO tally VALUES ('tx', 0);
    """

  static func account(_ number: Int) -> AccountID { AccountID(bits: UInt128(number) << 64 | 0x704E) }

  static func number(of id: AccountID) -> Int { Int(truncatingIfNeeded: id.bits >> 64) }

  /// The body of part `n` of transaction `tx`; half of it compresses.
  static func body(account: Int, tx: Int, n: Int, bytes: Int) -> [UInt8] {
    var random = SeededGenerator(seed: UInt64(truncatingIfNeeded: account &* 1_000_003 &+ tx &* 131 &+ n))
    var body: [UInt8] = []
    body.reserveCapacity(bytes + 8)
    while body.count < bytes {
      let word = random.next()
      for i in 0..<8 { body.append(UInt8(truncatingIfNeeded: word >> UInt64(8 * i))) }
    }
    body.removeLast(body.count - bytes)
    for i in bytes / 2..<bytes { body[i] = UInt8(ascii: "a") + UInt8((tx + i) % 7) }
    return body
  }

  static func recording(account: Int, number: Int, bytes: Int) -> [UInt8] {
    body(account: account, tx: 1_000_000_007 &+ number, n: 3, bytes: bytes)
  }

  /// Who recorded it shows in the content type, so that a copy of an account can be told from its source.
  static func recordingType(_ account: Int) -> String { "audio/\(account)" }

  static func recordingKey(_ number: Int) -> String { "calls/\(number).wav" }

  /// One transaction: `parts` rows and a tally that goes up by one.
  static func write(
    _ connection: Connection, account: Int, tx: Int, parts: Int, bytes: Int
  ) throws(SQLiteError) {
    for n in 0..<parts {
      try connection.execute(
        "INSERT INTO t (owner, tx, n, parts, body) VALUES (?,?,?,?,?)", .integer(Int64(account)), .integer(Int64(tx)),
        .integer(Int64(n)), .integer(Int64(parts)), .blob(body(account: account, tx: tx, n: n, bytes: bytes)))
    }
    try connection.execute("UPDATE tally SET count = count + 1 WHERE name = 'tx'")
  }
}
