// Where a statement probably runs, by its first words.

import API
import Base
import Testing

@Suite struct SQLHintTests {
  @Test(
    "the first word is found behind blanks and comments",
    arguments: [
      ("SELECT 1", "SELECT"), ("  \n\tselect 1", "SELECT"), ("-- INSERT\nUPDATE t SET x=1", "UPDATE"),
      ("/* a; 'b */ /**/delete from t", "DELETE"), (";;BEGIN", "BEGIN"), ("values(1)", "VALUES"), ("", ""),
      ("-- only", ""),
      ("/* open", ""), ("(", "="), ("- 1", "-"), ("/x", "/"),
    ])
  func firstWord(_ sql: String, _ word: String) {
    #expect(SQLWords.first(1, of: sql).first ?? "" == word)
  }

  @Test("statements go to the lightest place that may run them")
  func places() {
    for sql in [
      "SELECT 1", "WITH x AS (SELECT 1) SELECT * FROM x", "EXPLAIN SELECT 1", "PRAGMA table_info(t)", "VALUES (1)",
    ] {
      #expect(SQLCall(sql: sql).likelyPlace == .reader, "\(sql)")
    }
    for sql in [
      "INSERT INTO t VALUES (1)", "update t set x = 1", "CREATE TABLE t (x)", "DROP TABLE t",
      "REPLACE INTO t VALUES (1)",
    ] {
      #expect(SQLCall(sql: sql).likelyPlace == .writer, "\(sql)")
    }
    for sql in ["BEGIN", "begin immediate", "COMMIT", "END", "ROLLBACK TO a", "SAVEPOINT a", "RELEASE a"] {
      #expect(SQLCall(sql: sql).likelyPlace == .session, "\(sql)")
    }
  }

  @Test("only a rollback of everything counts as one")
  func rollbacks() {
    for sql in ["ROLLBACK", "ROLLBACK;", "rollback transaction"] { #expect(SQLCall(sql: sql).rollsBack) }
    for sql in ["ROLLBACK TO a", "ROLLBACK TRANSACTION TO SAVEPOINT a", "COMMIT"] {
      #expect(!SQLCall(sql: sql).rollsBack)
    }
  }

  @Test("pragmas that ask for what holds anyway are known in their usual spellings")
  func defaults() {
    for sql in [
      "PRAGMA foreign_keys = ON", "pragma foreign_keys=1;", "PRAGMA foreign_keys(true)", "PRAGMA read_uncommitted = 0",
    ] {
      #expect(SQLCall(sql: sql).asksForDefault, "\(sql)")
    }
    for sql in ["PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys", "PRAGMA journal_mode = WAL", "SELECT 1"] {
      #expect(!SQLCall(sql: sql).asksForDefault, "\(sql)")
    }
  }

  @Test("random text never traps and never loops")
  func fuzz() {
    var random = SeededGenerator(seed: 8)
    let alphabet = Array("-/*=(); \nSELECT'\"é".utf8)
    for _ in 0..<5000 {
      let bytes = (0..<random.below(60)).map { _ in alphabet[random.below(alphabet.count)] }
      let words = SQLWords.first(6, of: String(decoding: bytes, as: UTF8.self))
      #expect(words.count <= 6 && words.allSatisfy { !$0.isEmpty })
    }
  }
}
