// A refusal on the API port: a problem document (RFC 9457) under `/v1`, Hrana's error under `/db`.

import HTTPTypes
import Hummingbird
import NIOCore
import Node
import ShardStore

struct APIError: Error {
  /// What is known of a refused write.
  enum Applied: Sendable {
    case no, unknown
  }

  private enum Body {
    case problem(code: String, detail: String, applied: Applied?)
    case hrana(HranaError)
  }

  let status: HTTPResponse.Status
  private let body: Body
  var retryAfterSeconds: Int?

  /// A problem. `applied` says of a refused write whether it was applied; nil when there was no write.
  init(_ status: HTTPResponse.Status, code: String, _ detail: String, applied: Applied? = nil) {
    self.status = status
    body = .problem(code: code, detail: detail, applied: applied)
  }

  init(_ status: HTTPResponse.Status, _ error: HranaError) {
    self.status = status
    body = .hrana(error)
  }

  init(_ error: NodeError) {
    let status: HTTPResponse.Status =
      switch error.code {
      case .notFound: .notFound
      case .exists: .conflict
      case .invalid: .unprocessableContent
      case .refused: .forbidden
      case .unavailable: .serviceUnavailable
      case .io: .internalServerError
      case .elsewhere: .misdirectedRequest
      }
    self.init(status, code: error.code.rawValue, error.message)
    if error.isRetryable { retryAfterSeconds = 1 }
  }

  /// Whatever else was thrown: what it says stays here.
  init(thrown error: any Error) {
    switch error {
    case let error as APIError: self = error
    case let error as NodeError: self.init(error)
    case let error as RoutingFailure: self = error.problem
    case let error as StoreError where [.busy, .closed, .moved].contains(error.code):
      self.init(.serviceUnavailable, code: "unavailable", error.message)
      retryAfterSeconds = 1
    case let error as HTTPError: self.init(error.status, code: "http", error.status.reasonPhrase)
    default: self.init(.internalServerError, code: "internal", "the request failed inside the node")
    }
  }

  /// The sentence that it says.
  var detail: String {
    switch body {
    case .problem(_, let detail, _): detail
    case .hrana(let error): error.message
    }
  }

  var response: Response {
    var json = JSONText()
    var fields: HTTPFields = [.cacheControl: "no-store"]
    switch body {
    case .problem(let code, let detail, let applied):
      json.raw(#"{"type":"about:blank","title":"#)
      json.string(status.reasonPhrase)
      json.raw(#","status":"#)
      json.number(status.code)
      json.raw(#","code":"#)
      json.string(code)
      json.raw(#","detail":"#)
      json.string(detail)
      if let applied {
        json.raw(#","applied":"#)
        switch applied {
        case .no: json.bool(false)
        case .unknown: json.string("unknown")
        }
      }
      json.raw("}")
      fields[.contentType] = "application/problem+json"
    case .hrana(let error):
      json.error(error)
      fields[.contentType] = "application/json"
    }
    if status == .unauthorized { fields[.wwwAuthenticate] = #"Bearer realm="komora""# }
    if let retryAfterSeconds { fields[.retryAfter] = String(retryAfterSeconds) }
    return Response(status: status, headers: fields, body: ResponseBody(byteBuffer: ByteBuffer(bytes: json.bytes)))
  }
}
