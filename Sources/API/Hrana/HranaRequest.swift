// What a client sends over Hrana (Hrana 3 specification, "Hrana over HTTP"), as JSON.

package struct PipelineBody: Decodable, Sendable {
  package var baton: String?
  package var requests: [StreamRequest]
}

package struct CursorBody: Decodable, Sendable {
  package var baton: String?
  package var batch: HranaBatch
}

/// SQL given as text or as the number of a stored text.
package struct SQLSource: Decodable, Sendable {
  package var sql: String?
  package var sqlID: Int32?

  private enum CodingKeys: String, CodingKey {
    case sql
    case sqlID = "sql_id"
  }
}

package struct HranaStatement: Decodable, Sendable {
  package var source: SQLSource
  package var arguments: [HranaValue]
  package var namedArguments: [HranaNamedArgument]
  package var wantsRows: Bool

  private enum Key: String, CodingKey {
    case args
    case namedArgs = "named_args"
    case wantRows = "want_rows"
  }

  package init(from decoder: any Decoder) throws {
    source = try SQLSource(from: decoder)
    let fields = try decoder.container(keyedBy: Key.self)
    arguments = try fields.decodeIfPresent([HranaValue].self, forKey: .args) ?? []
    namedArguments = try fields.decodeIfPresent([HranaNamedArgument].self, forKey: .namedArgs) ?? []
    wantsRows = try fields.decodeIfPresent(Bool.self, forKey: .wantRows) ?? true
  }
}

package struct HranaNamedArgument: Decodable, Sendable {
  package var name: String
  package var value: HranaValue
}

package struct HranaBatch: Decodable, Sendable {
  package struct Step: Decodable, Sendable {
    package var condition: BatchCondition?
    package var stmt: HranaStatement
  }
  package var steps: [Step]
}

/// When a step of a batch runs; steps count from 0.
package indirect enum BatchCondition: Decodable, Sendable, Equatable {
  case ok(Int), error(Int), not(BatchCondition), and([BatchCondition]), or([BatchCondition]), isAutocommit

  private enum Key: String, CodingKey { case type, step, cond, conds }

  package init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    switch try fields.decode(String.self, forKey: .type) {
    case "ok": self = .ok(try fields.decode(Int.self, forKey: .step))
    case "error": self = .error(try fields.decode(Int.self, forKey: .step))
    case "not": self = .not(try fields.decode(BatchCondition.self, forKey: .cond))
    case "and": self = .and(try fields.decode([BatchCondition].self, forKey: .conds))
    case "or": self = .or(try fields.decode([BatchCondition].self, forKey: .conds))
    case "is_autocommit": self = .isAutocommit
    case let type:
      throw DecodingError.dataCorruptedError(
        forKey: .type, in: fields, debugDescription: "\(type.prefix(32)) is not a type of condition")
    }
  }

  /// `outcomes` are those of the steps before; a step that was skipped, or comes later, is neither ok nor an error.
  package func holds(after outcomes: [StepOutcome], isAutocommit: Bool) -> Bool {
    switch self {
    case .ok(let step): return outcomes.indices.contains(step) && outcomes[step].isResult
    case .error(let step): return outcomes.indices.contains(step) && outcomes[step].isError
    case .not(let condition): return !condition.holds(after: outcomes, isAutocommit: isAutocommit)
    case .and(let conditions): return conditions.allSatisfy { $0.holds(after: outcomes, isAutocommit: isAutocommit) }
    case .or(let conditions): return conditions.contains { $0.holds(after: outcomes, isAutocommit: isAutocommit) }
    case .isAutocommit: return isAutocommit
    }
  }
}

package enum StreamRequest: Decodable, Sendable {
  case close, getAutocommit
  case execute(HranaStatement)
  case batch(HranaBatch)
  case sequence(SQLSource)
  case describe(SQLSource)
  case storeSQL(id: Int32, sql: String)
  case closeSQL(id: Int32)

  private enum Key: String, CodingKey {
    case type, stmt, batch, sql
    case sqlID = "sql_id"
  }

  package init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: Key.self)
    switch try fields.decode(String.self, forKey: .type) {
    case "close": self = .close
    case "get_autocommit": self = .getAutocommit
    case "execute": self = .execute(try fields.decode(HranaStatement.self, forKey: .stmt))
    case "batch": self = .batch(try fields.decode(HranaBatch.self, forKey: .batch))
    case "sequence": self = .sequence(try SQLSource(from: decoder))
    case "describe": self = .describe(try SQLSource(from: decoder))
    case "store_sql":
      self = .storeSQL(
        id: try fields.decode(Int32.self, forKey: .sqlID), sql: try fields.decode(String.self, forKey: .sql))
    case "close_sql": self = .closeSQL(id: try fields.decode(Int32.self, forKey: .sqlID))
    case let type:
      throw DecodingError.dataCorruptedError(
        forKey: .type, in: fields, debugDescription: "\(type.prefix(32)) is not a type of request")
    }
  }
}
