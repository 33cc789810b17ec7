// Turns what a handler throws into a reply, and counts requests and their durations by kind of route and status.

import Hummingbird
import Logging
import Node
import ShardStore
import Threads

struct RequestAccounting: RouterMiddleware {
  typealias Context = APIContext
  let figures: RequestFigures
  let clock: any StoreClock
  /// The node stops: clients shall go elsewhere.
  let isLeaving: @Sendable () -> Bool

  func handle(
    _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
  ) async throws -> Response {
    let began = clock.monotonicNanoseconds()
    var response: Response
    do {
      response = try await next(request, context)
    } catch let thrown {
      let served = thrown as? ServedFailure
      let error = served?.underlying ?? thrown
      let shown = APIError(thrown: error)
      if shown.status.code >= 500 {
        context.logger.error("request failed", metadata: ["status": "\(shown.status.code)", "error": "\(error)"])
      }
      var refusal = shown.response
      for field in served?.fields ?? [:] { refusal.headers.append(field) }
      response = refusal
    }
    if isLeaving(), context.mayEndConnection { response.headers[.connection] = "close" }
    figures.note(
      surface: Self.kind(of: request.uri.path), status: response.status.code,
      nanoseconds: clock.monotonicNanoseconds() - began)
    return response
  }

  /// Few and fixed, so that no label ever carries what a client chose.
  private static func kind(of path: String) -> String {
    switch path.split(separator: "/", maxSplits: 1).first {
    case "db": "sql"
    case "v1": "admin"
    case "healthz", "readyz", "metrics": "probe"
    default: "other"
    }
  }
}

/// The figures of requests that both ports keep.
final class RequestFigures: Sendable {
  private struct Kind: Hashable {
    let surface: String
    let status: Int
  }

  private let metrics: MetricsRegistry
  /// Looked up once: labels are compared as text.
  private let known = Lock<[Kind: (requests: MetricCounter, seconds: MetricHistogram)]>([:])

  init(_ metrics: MetricsRegistry) {
    self.metrics = metrics
  }

  /// `surface` is a word of ours.
  func note(surface: String, status: Int, nanoseconds: UInt64) {
    let kind = Kind(surface: surface, status: status)
    let (requests, seconds) = known.with { known in
      if let found = known[kind] { return found }
      let made = (
        metrics.counter("komora_http_requests_total", [("surface", surface), ("status", String(status))]),
        metrics.histogram("komora_http_request_seconds", [("surface", surface)])
      )
      known[kind] = made
      return made
    }
    requests.increment()
    seconds.observe(.nanoseconds(nanoseconds))
  }
}
