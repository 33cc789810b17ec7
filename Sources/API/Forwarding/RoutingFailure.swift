// Why a request reached no node that leads its account, and whether it may have been applied.

import HTTPTypes
import Node
import ShardStore

struct RoutingFailure: Error {
  enum Outcome: Sendable {
    /// No node has begun with it.
    case notApplied
    /// A node had it when it was lost.
    case unknown
  }

  let outcome: Outcome
  let message: String

  init(_ outcome: Outcome, _ message: String) {
    self.outcome = outcome
    self.message = message
  }

  /// Under `/v1`.
  var problem: APIError {
    var error =
      switch outcome {
      case .notApplied: APIError(.serviceUnavailable, code: "unavailable", message, applied: .no)
      case .unknown: APIError(.serviceUnavailable, code: "unknown", message, applied: .unknown)
      }
    if outcome == .notApplied { error.retryAfterSeconds = 1 }
    return error
  }

  /// Under `/db`.
  var hrana: APIError {
    var error = APIError(
      .serviceUnavailable, HranaError(outcome == .notApplied ? "NOT_APPLIED_UNAVAILABLE" : "UNKNOWN", message))
    if outcome == .notApplied { error.retryAfterSeconds = 1 }
    return error
  }

  var s3: S3Error {
    switch outcome {
    case .notApplied: S3Error(.serviceUnavailable, "SlowDown", message)
    case .unknown: S3Error(.internalServerError, "InternalError", message)
    }
  }
}

/// A handler's refusal, with the fields that every reply of an account has.
struct ServedFailure: Error {
  let underlying: any Error
  let fields: HTTPFields
}

/// This node turned out not to lead the account, and nothing of the request was applied: it may be sent on.
struct ShardMoved: Error {
  /// Also where a layer below has said so in its own words.
  static func means(_ error: any Error) -> Bool {
    switch error {
    case is ShardMoved: true
    case let error as StoreError: error.code == .moved
    case let error as NodeError: error.code == .elsewhere
    default: false
    }
  }
}
