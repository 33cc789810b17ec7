// One pipeline: requests on a stream, one after the other, and the JSON of their replies. A request that fails does not
// stop the ones behind it, as the protocol asks.

import ShardStore

struct HranaPipeline: Sendable {
  var executor: HranaExecutor
  private(set) var isClosed = false
  /// Makes the pipeline's statement or batch happen once, however often it is sent.
  private let idempotency: Idempotency?
  private var isUsed = false

  init(_ executor: HranaExecutor, idempotency: Idempotency?) {
    self.executor = executor
    self.idempotency = idempotency
  }

  /// The JSON array of results. Throws when this node turns out not to lead the account before anything was changed, on a
  /// stream that can go on elsewhere.
  mutating func run(_ requests: [StreamRequest]) async throws(ShardMoved) -> [UInt8] {
    let isMovable = executor.stream.isMovable
    var json = JSONText(capacity: 1024)
    json.raw("[")
    let bytesMax = executor.limits.resultBytes
    for (i, request) in requests.enumerated() {
      if i > 0 { json.raw(",") }
      // One limit for the whole reply, however many requests share it.
      executor.limits.resultBytes = max(0, bytesMax - json.bytes.count)
      do throws(HranaError) {
        guard !isClosed else { throw HranaError("STREAM_CLOSED", "the stream was closed by an earlier request") }
        let response = try await respond(to: request)
        json.raw(#"{"type":"ok","response":"#)
        json.raw(response)
        json.raw("}")
      } catch {
        if error.isMoved, isMovable, !executor.hasWritten { throw ShardMoved() }
        json.raw(#"{"type":"error","error":"#)
        json.error(error)
        json.raw("}")
      }
    }
    json.raw("]")
    return json.bytes
  }

  private mutating func respond(to request: StreamRequest) async throws(HranaError) -> [UInt8] {
    var json = JSONText()
    switch request {
    case .close:
      await executor.closeSession()
      isClosed = true
      json.raw(#"{"type":"close"}"#)
    case .getAutocommit:
      json.raw(#"{"type":"get_autocommit","is_autocommit":"#)
      json.bool(executor.isAutocommit)
      json.raw("}")
    case .execute(let statement):
      json.raw(#"{"type":"execute","result":"#)
      if let idempotency = try takeIdempotency() {
        json.raw(
          try await executor.once(
            [.init(condition: nil, call: executor.stream.call(statement))], idempotency, isBatch: false))
      } else {
        json.result(try await executor.execute(statement))
      }
      json.raw("}")
    case .batch(let batch):
      json.raw(#"{"type":"batch","result":"#)
      if let idempotency = try takeIdempotency() {
        json.raw(try await executor.once(executor.steps(batch), idempotency, isBatch: true))
      } else {
        json.batchResult(try await executor.batch(batch))
      }
      json.raw("}")
    case .sequence(let source):
      guard idempotency == nil else { throw Self.onlyOne }
      try await executor.sequence(source)
      json.raw(#"{"type":"sequence"}"#)
    case .describe(let source):
      let description = try await executor.describe(source)
      json.raw(#"{"type":"describe","result":"#)
      json.description(description)
      json.raw("}")
    case .storeSQL(let id, let sql):
      try executor.stream.store(id, sql)
      json.raw(#"{"type":"store_sql"}"#)
    case .closeSQL(let id):
      executor.stream.forget(id)
      json.raw(#"{"type":"close_sql"}"#)
    }
    return json.bytes
  }

  /// A key covers one statement or batch; for a second one of the same pipeline there is none.
  private mutating func takeIdempotency() throws(HranaError) -> Idempotency? {
    guard let idempotency else { return nil }
    guard !isUsed else { throw Self.onlyOne }
    isUsed = true
    return idempotency
  }

  private static let onlyOne = HranaError(
    "NOT_APPLIED_IDEMPOTENCY", "a pipeline with an Idempotency-Key has one statement or one batch")
}
