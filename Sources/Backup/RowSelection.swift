// Which rows and recordings of an account are meant: what `--only` and a merge take.
//
//   table:NAME                      all rows of a table
//   table:NAME?COLUMN>=VALUE&…      those for which all conditions hold: = != < <= > >=, and ~ for a pattern with * and ?
//   row:TABLE/KEY,KEY…              rows by key: a value, FROM..TO (both included, either may be missing), or a pattern
//   recording:GLOB                  recordings by S3 key; * stands for any characters, / too, and ? for one
//   period:FROM/TO                  recordings that were made from FROM on and before TO, in RFC 3339
//
// Several patterns choose what any of them chooses. A key of several columns is VALUE/VALUE…; a table without a primary key
// has its rowid. A value is a number, a text, 'a text' or x'00ff'; %XX is a byte that would mean something else. Nothing
// here is ever SQL: names are looked up and quoted, values are bound.

package import Base

package struct RowSelection: Sendable, Equatable {
  package enum Pattern: Sendable, Equatable {
    case rows(table: String, [Condition])
    case keys(table: String, [Key])
    case recordings(Glob)
    case period(from: UnixMicroseconds, to: UnixMicroseconds)
  }

  package enum Comparison: String, Sendable, CaseIterable {
    // The longer ones first: the first that fits is taken.
    case notEqual = "!=", atMost = "<=", atLeast = ">=", equal = "=", less = "<", more = ">", like = "~"
  }

  package struct Condition: Sendable, Equatable {
    package var column: String
    package var comparison: Comparison
    package var value: Operand
  }

  /// A value, or a pattern that texts and numbers are held against.
  package enum Operand: Sendable, Equatable {
    case value(Literal)
    case glob(Glob)
  }

  package enum Key: Sendable, Equatable {
    /// One for each column of the key.
    case parts([Operand])
    case range(Literal?, Literal?)
  }

  /// What a person wrote for a value.
  package struct Literal: Sendable, Equatable {
    /// Nil for a blob.
    package var text: String?
    /// When it reads as one and was not quoted: an integer or a finite real.
    package var number: Number?
    package var blob: [UInt8]?
  }

  package enum Number: Sendable, Equatable {
    case integer(Int64)
    case real(Double)
  }

  package struct Glob: Sendable, Equatable {
    package enum Token: Sendable, Equatable {
      case any, one
      case literal(String)
    }
    package var tokens: [Token]
  }

  package static let patternsMax = 1_000
  package static let patternBytesMax = 16 << 10
  /// Values in all patterns together: each is a parameter of a statement.
  package static let valuesMax = 10_000
  /// Stars in one glob: more cost time for every key.
  package static let starsMax = 8

  package var patterns: [Pattern]

  /// Names of tables as they were written, each once.
  package var tables: [String] {
    var seen: Set<String> = []
    return patterns.compactMap { pattern in
      switch pattern {
      case .rows(let table, _), .keys(let table, _): seen.insert(SQLText.folded(table)).inserted ? table : nil
      case .recordings, .period: nil
      }
    }
  }

  package var hasRecordings: Bool {
    patterns.contains { if case .recordings = $0 { true } else if case .period = $0 { true } else { false } }
  }
}
