// A refusal on the S3 port, in S3's codes.

package import HTTPTypes
import ShardStore
import SigV4

package struct S3Error: Error, Sendable, Equatable {
  package let status: HTTPResponse.Status
  package let code: String
  package let message: String

  init(_ status: HTTPResponse.Status, _ code: String, _ message: String) {
    self.status = status
    self.code = code
    self.message = message
  }

  static let accessDenied = S3Error(.forbidden, "AccessDenied", "Access Denied")
  static let noSuchUpload = S3Error(
    .notFound, "NoSuchUpload", "The upload does not exist: it was never begun, was aborted, or is completed.")
  static let noSuchKey = S3Error(.notFound, "NoSuchKey", "The specified key does not exist.")
  /// Says by name what it is that is not done here.
  static func notImplemented(_ what: String) -> S3Error {
    S3Error(.notImplemented, "NotImplemented", "\(what) is not implemented.")
  }

  static let notModified = S3Error(.notModified, "NotModified", "Not Modified")
  static let preconditionFailed = S3Error(
    .preconditionFailed, "PreconditionFailed", "At least one of the preconditions did not hold.")

  static func invalidArgument(_ message: String) -> S3Error { S3Error(.badRequest, "InvalidArgument", message) }

  init(_ error: SigV4Error) {
    let (status, code): (HTTPResponse.Status, String) =
      switch error.code {
      case .missing, .expired, .unsignedHeader: (.forbidden, "AccessDenied")
      case .malformed: (.badRequest, "AuthorizationHeaderMalformed")
      case .unsupported: (.notImplemented, "NotImplemented")
      case .mismatch: (.forbidden, "SignatureDoesNotMatch")
      case .skewed: (.forbidden, "RequestTimeTooSkewed")
      case .payloadMismatch: (.badRequest, "BadDigest")
      case .wrongLength: (.badRequest, "IncompleteBody")
      case .malformedChunk: (.badRequest, "InvalidRequest")
      }
    self.init(status, code, error.message)
  }

  init(_ error: StoreError) {
    switch error.code {
    case .busy, .closed, .snapshotTooOld, .notApplied, .moved: self.init(.serviceUnavailable, "SlowDown", error.message)
    case .diskFull: self.init(.serviceUnavailable, "ServiceUnavailable", error.message)
    case .quota: self.init(.forbidden, "QuotaExceeded", error.message)
    case .refused: self.init(.forbidden, "AccessDenied", error.message)
    case .tooLarge: self.init(.badRequest, "EntityTooLarge", error.message)
    // A row that is not there is no error of the store: here the account itself or a file of it is missing, and nobody
    // may take that for a recording that never was.
    case .notFound:
      self.init(.serviceUnavailable, "ServiceUnavailable", "the account's data is missing here: \(error.message)")
    case .exists, .io, .damaged, .wrongKey, .unknown: self.init(.internalServerError, "InternalError", error.message)
    }
  }

  /// Whatever else was thrown: what it says stays here.
  init(thrown error: any Error) {
    switch error {
    case let error as S3Error: self = error
    case let error as SigV4Error: self.init(error)
    case let error as StoreError: self.init(error)
    case let error as RoutingFailure: self = error.s3
    case let error as APIError: self.init(error.status, "InvalidArgument", error.detail)
    default: self.init(.internalServerError, "InternalError", "The request failed inside the node.")
    }
  }

  /// The body; `resource` is the path that was asked for.
  func body(resource: String, requestID: String) -> [UInt8] {
    var xml = XMLText()
    xml.element("Error") { xml in
      xml.element("Code", code)
      xml.element("Message", message)
      xml.element("Resource", resource)
      xml.element("RequestId", requestID)
    }
    return xml.bytes
  }
}
