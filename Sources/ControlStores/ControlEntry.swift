// What a control store keeps, and what a transaction asks of it. The words are etcd's: a revision counts the
// transactions of the whole store, and an entry's revision is that of the transaction which last put it.

/// One key with its value.
package struct ControlEntry: Sendable, Equatable {
  package var key: String
  package var value: [UInt8]
  /// From 1.
  package var revision: Int64

  package init(key: String, value: [UInt8], revision: Int64) {
    self.key = key
    self.value = value
    self.revision = revision
  }
}

/// A condition of a transaction: `key` is still at `revision`; 0 says that it does not exist.
package struct ControlCondition: Sendable, Equatable {
  package var key: String
  package var revision: Int64

  package init(_ key: String, at revision: Int64) {
    self.key = key
    self.revision = revision
  }

  package static func absent(_ key: String) -> ControlCondition { ControlCondition(key, at: 0) }
}

/// A change that a transaction makes when all its conditions hold.
package enum ControlChange: Sendable, Equatable {
  case put(String, [UInt8])
  /// Deleting what is not there is no error.
  case delete(String)

  package var key: String {
    switch self {
    case .put(let key, _), .delete(let key): key
    }
  }
}

/// How a transaction ended.
package struct ControlOutcome: Sendable, Equatable {
  package var succeeded: Bool
  /// Of the store, after the transaction.
  package var revision: Int64

  package init(succeeded: Bool, revision: Int64) {
    self.succeeded = succeeded
    self.revision = revision
  }
}
