// SQLite's own opinion: structure, indexes and foreign keys.

import SQLite

enum IntegrityChecker {
  static func check(_ connection: Connection) throws {
    let found = try connection.query("PRAGMA integrity_check")
    guard found == [[.text("ok")]] else {
      throw Violation(checker: "integrity", message: found.prefix(3).compactMap { $0[0].text }.joined(separator: "; "))
    }
    guard try connection.query("PRAGMA foreign_key_check").isEmpty else {
      throw Violation(checker: "integrity", message: "a foreign key dangles")
    }
  }
}
