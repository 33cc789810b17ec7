// An error as Hrana gives it: a sentence and a code.
//
// Codes are SQLite's names, as libSQL clients expect. When a write was refused by the store, the code says whether it
// was applied: `NOT_APPLIED…` when it certainly was not, `UNKNOWN…` when that is not certain.

package import SQLite
package import ShardStore

package struct HranaError: Error, Sendable, Equatable {
  package var message: String
  package var code: String

  package init(_ code: String, _ message: String) {
    self.code = code
    self.message = message
  }

  /// A result that does not fit into a reply.
  package static let tooLarge = "RESPONSE_TOO_LARGE"

  /// This node does not lead the account, or no longer: certainly not applied here.
  package var isMoved: Bool { code == "MOVED" || code == "NOT_APPLIED_MOVED" }

  package init(_ error: SQLiteError) { self.init(error.name, error.message) }

  /// `writing`: the request may have changed something, so the code must say whether it did.
  package init(_ error: StoreError, writing: Bool) {
    let name: String
    var unknown = false
    switch error.code {
    case .notApplied: (name, unknown) = ("", false)
    case .unknown: (name, unknown) = ("", true)
    case .busy: name = "BUSY"
    case .snapshotTooOld: name = "SNAPSHOT"
    case .quota: name = "QUOTA"
    case .diskFull: name = "DISK_FULL"
    case .refused: name = "REFUSED"
    case .tooLarge: name = "TOO_LARGE"
    case .notFound, .exists: name = "ACCOUNT"
    case .wrongKey: name = "WRONG_KEY"
    case .closed: name = "CLOSED"
    case .moved: name = "MOVED"
    case .damaged: (name, unknown) = ("DAMAGED", true)
    case .io: (name, unknown) = ("IO", true)
    }
    guard writing || name.isEmpty else {
      self.init(name, error.message)
      return
    }
    let prefix = unknown ? "UNKNOWN" : "NOT_APPLIED"
    self.init(name.isEmpty ? prefix : "\(prefix)_\(name)", error.message)
  }

  /// Whatever was thrown while SQL ran.
  package init(thrown error: any Error, writing: Bool) {
    switch error {
    case let error as HranaError: self = error
    case let error as SQLiteError: self.init(error)
    case let error as StoreError: self.init(error, writing: writing)
    default: self.init(writing ? "UNKNOWN" : "INTERNAL", "the request failed inside the node")
    }
  }
}

extension JSONText {
  package mutating func error(_ error: HranaError) {
    raw(#"{"message":"#)
    string(error.message)
    raw(#","code":"#)
    string(error.code)
    raw("}")
  }
}
