// Replies to POSTs under `/v1` by Idempotency-Key, so that a client that lost a reply can ask again without a second
// effect.
//
// Kept in memory, for an hour and up to a number: what a key protects against is a broken connection, not a restart of
// the node. The key belongs to the token that sent it. While the first request runs, a repetition is told to wait.

import Base
import HTTPTypes
import Hummingbird
import NIOCore
import OpenSSL
import ShardStore
import Threads

struct ReplayCache: RouterMiddleware {
  typealias Context = APIContext

  private struct Entry: Sendable {
    var requestHash: [UInt8]
    var since: UInt64
    var reply: (status: HTTPResponse.Status, fields: HTTPFields, body: ByteBuffer)?
  }

  private final class Store: Sendable {
    let entries = Lock<[[UInt8]: Entry]>([:])
  }

  private let store = Store()
  private let clock: any StoreClock
  private let bytesMax: Int
  private static let countMax = 2000
  private static let lifeNanoseconds: UInt64 = 3_600_000_000_000

  init(clock: any StoreClock, requestBytesMax: Int) {
    self.clock = clock
    bytesMax = requestBytesMax
  }

  func handle(
    _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
  ) async throws -> Response {
    guard request.method == .post, let key = request.headers[.idempotencyKey] else {
      return try await next(request, context)
    }
    guard (1...Limits.idempotencyKeyBytesMax).contains(key.utf8.count) else {
      throw APIError(
        .badRequest, code: "invalid", "Idempotency-Key must have 1 to \(Limits.idempotencyKeyBytesMax) bytes")
    }
    var request = request
    try await context.askForBody()
    let body: ByteBuffer
    do {
      body = try await request.collectBody(upTo: bytesMax)
    } catch is NIOTooManyBytesError {
      throw APIError(.contentTooLarge, code: "tooLarge", "the request is larger than the node accepts")
    }
    let owner = Array((request.headers[.authorization] ?? "").utf8)
    let id = SHA256.hash(parts: [SHA256.hash(owner), Array(key.utf8)])
    let hash = SHA256.hash(parts: [Array(request.uri.path.utf8), [0], Array(body.readableBytesView)])
    if let known = try begin(id, hash) { return known }
    do {
      let response = try await next(request, context)
      return try await keep(response, id)
    } catch {
      // A refusal had no effect worth keeping: the same key may try again.
      forget(id)
      throw error
    }
  }

  /// The reply that is kept; nil when the request is new, and then it is noted.
  private func begin(_ id: [UInt8], _ hash: [UInt8]) throws(APIError) -> Response? {
    let now = clock.monotonicNanoseconds()
    let found = store.entries.with { entries -> Entry? in
      if let entry = entries[id], now - entry.since < Self.lifeNanoseconds { return entry }
      if entries.count >= Self.countMax {
        entries = entries.filter { now - $0.value.since < Self.lifeNanoseconds }
        if entries.count >= Self.countMax, let oldest = entries.min(by: { $0.value.since < $1.value.since }) {
          entries[oldest.key] = nil
        }
      }
      entries[id] = Entry(requestHash: hash, since: now, reply: nil)
      return nil
    }
    guard let found else { return nil }
    guard found.requestHash == hash else {
      throw APIError(
        .unprocessableContent, code: "idempotency", "this Idempotency-Key was used for another request", applied: .no)
    }
    guard let reply = found.reply else {
      throw APIError(.conflict, code: "idempotency", "the first request with this Idempotency-Key still runs")
    }
    return Response(status: reply.status, headers: reply.fields, body: ResponseBody(byteBuffer: reply.body))
  }

  private func keep(_ response: Response, _ id: [UInt8]) async throws -> Response {
    // Its effect is there already: whatever the reply's length, it is no reason to fail now.
    let collector = BodyCollector(bytesMax: .max)
    try await response.body.write(collector)
    let body = collector.bytes.with { $0 }
    store.entries.with { $0[id]?.reply = (response.status, response.headers, body) }
    return Response(status: response.status, headers: response.headers, body: ResponseBody(byteBuffer: body))
  }

  private func forget(_ id: [UInt8]) { store.entries.with { $0[id] = nil } }
}
