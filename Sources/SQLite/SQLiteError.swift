// A failure that SQLite reports, with the name of its extended code, so that callers match codes and never grep text.

import CSQLite

package struct SQLiteError: Error, Sendable, CustomStringConvertible {
  /// The primary result codes that callers act upon; the rest is `.other`.
  package enum Code: Sendable, Equatable {
    case error, busy, busySnapshot, locked, readOnly, interrupted, io, corrupt, full, tooBig, constraint, misuse
    case notAuthorized, range, schema, noMemory, cannotOpen, notADatabase, mismatch, other
  }

  package var code: Code
  /// `SQLITE_CONSTRAINT_UNIQUE` and the like.
  package var name: String
  package var message: String
  /// Byte in the SQL text where the error lies, if SQLite knows.
  package var sqlOffset: Int?

  package init(_ code: Code, name: String, message: String, sqlOffset: Int? = nil) {
    self.code = code
    self.name = name
    self.message = message
    self.sqlOffset = sqlOffset
  }

  package var description: String { "\(name): \(message)" }

  init(result: Int32, message: String, sqlOffset: Int? = nil) {
    self.init(Self.code(result), name: Self.name(result), message: message, sqlOffset: sqlOffset)
  }

  /// True when the transaction itself is gone or the file cannot be trusted, not only the statement.
  package var endsTransaction: Bool {
    switch code {
    case .io, .corrupt, .full, .noMemory, .interrupted: true
    default: false
    }
  }

  private static func code(_ result: Int32) -> Code {
    if result == busySnapshotResult { return .busySnapshot }
    switch result & 0xff {
    case SQLITE_ERROR: return .error
    case SQLITE_BUSY: return .busy
    case SQLITE_LOCKED: return .locked
    case SQLITE_READONLY: return .readOnly
    case SQLITE_INTERRUPT: return .interrupted
    case SQLITE_IOERR: return .io
    case SQLITE_CORRUPT: return .corrupt
    case SQLITE_FULL: return .full
    case SQLITE_TOOBIG: return .tooBig
    case SQLITE_CONSTRAINT: return .constraint
    case SQLITE_MISUSE: return .misuse
    case SQLITE_AUTH: return .notAuthorized
    case SQLITE_RANGE: return .range
    case SQLITE_SCHEMA: return .schema
    case SQLITE_NOMEM: return .noMemory
    case SQLITE_CANTOPEN: return .cannotOpen
    case SQLITE_NOTADB: return .notADatabase
    case SQLITE_MISMATCH: return .mismatch
    default: return .other
    }
  }

  private static func name(_ result: Int32) -> String {
    let extended: [Int32: String] = [
      busySnapshotResult: "SQLITE_BUSY_SNAPSHOT",
      SQLITE_CONSTRAINT | 1 << 8: "SQLITE_CONSTRAINT_CHECK",
      SQLITE_CONSTRAINT | 3 << 8: "SQLITE_CONSTRAINT_FOREIGNKEY",
      SQLITE_CONSTRAINT | 5 << 8: "SQLITE_CONSTRAINT_NOTNULL",
      SQLITE_CONSTRAINT | 6 << 8: "SQLITE_CONSTRAINT_PRIMARYKEY",
      SQLITE_CONSTRAINT | 7 << 8: "SQLITE_CONSTRAINT_TRIGGER",
      SQLITE_CONSTRAINT | 8 << 8: "SQLITE_CONSTRAINT_UNIQUE",
      SQLITE_CONSTRAINT | 10 << 8: "SQLITE_CONSTRAINT_ROWID",
      SQLITE_CONSTRAINT | 12 << 8: "SQLITE_CONSTRAINT_DATATYPE",
    ]
    if let name = extended[result] { return name }
    let primary: [Int32: String] = [
      SQLITE_ERROR: "SQLITE_ERROR", SQLITE_PERM: "SQLITE_PERM", SQLITE_ABORT: "SQLITE_ABORT",
      SQLITE_BUSY: "SQLITE_BUSY", SQLITE_LOCKED: "SQLITE_LOCKED", SQLITE_NOMEM: "SQLITE_NOMEM",
      SQLITE_READONLY: "SQLITE_READONLY", SQLITE_INTERRUPT: "SQLITE_INTERRUPT", SQLITE_IOERR: "SQLITE_IOERR",
      SQLITE_CORRUPT: "SQLITE_CORRUPT", SQLITE_FULL: "SQLITE_FULL", SQLITE_CANTOPEN: "SQLITE_CANTOPEN",
      SQLITE_SCHEMA: "SQLITE_SCHEMA", SQLITE_TOOBIG: "SQLITE_TOOBIG", SQLITE_CONSTRAINT: "SQLITE_CONSTRAINT",
      SQLITE_MISMATCH: "SQLITE_MISMATCH", SQLITE_MISUSE: "SQLITE_MISUSE", SQLITE_AUTH: "SQLITE_AUTH",
      SQLITE_RANGE: "SQLITE_RANGE", SQLITE_NOTADB: "SQLITE_NOTADB",
    ]
    return primary[result & 0xff] ?? "SQLITE_\(result)"
  }
}

/// `SQLITE_BUSY_SNAPSHOT` is a macro expression that does not import.
let busySnapshotResult: Int32 = SQLITE_BUSY | 2 << 8
