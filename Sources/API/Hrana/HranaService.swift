// SQL over HTTP: `/db/{account}/v3/pipeline` and `/v3/cursor` (and `/v2/pipeline`, which has the same shape).

import Base
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import Node
import OpenSSL
import ShardStore

struct HranaService: Sendable {
  let node: NodeService
  let access: Access
  let registry: StreamRegistry
  let limits: SQLLimits
  let clock: any StoreClock
  let deadlines: Deadlines

  init(
    node: NodeService, access: Access, registry: StreamRegistry, clock: any StoreClock, deadlines: Deadlines
  ) {
    self.node = node
    self.access = access
    self.registry = registry
    self.clock = clock
    self.deadlines = deadlines
    limits = SQLLimits(node.configuration)
  }

  func addRoutes(to router: some RouterMethods<APIContext>) {
    for version in ["v2", "v3"] {
      router.get("db/:account/\(version)") { request, context in
        _ = try access.database(request, context)
        return Response(status: .ok)
      }
      router.post("db/:account/\(version)/pipeline", use: pipeline)
    }
    router.post("db/:account/v3/cursor", use: cursor)
    router.post("db/:account/v1/rows", use: rows)
  }

  @Sendable private func pipeline(_ request: Request, _ context: APIContext) async throws -> Response {
    let grant = try access.database(request, context)
    let (body, hash) = try await self.body(PipelineBody.self, of: request, context)
    var pipeline = HranaPipeline(
      try await executor(for: body.baton, grant, context), idempotency: try idempotency(request, hash))
    let results: [UInt8]
    do throws(ShardMoved) { results = try await pipeline.run(body.requests) } catch {
      // The same request may come back to here, with the baton that it came with.
      _ = await giveBack(pipeline.executor, baton: body.baton)
      throw error
    }
    let baton = await giveBack(pipeline.executor, baton: pipeline.isClosed ? nil : draw(pipeline.executor.stream))
    var json = JSONText(capacity: results.count + 128)
    json.raw(#"{"baton":"#)
    json.string(baton)
    json.raw(#","base_url":null,"results":"#)
    json.raw(results)
    json.raw("}")
    return Response(
      status: .ok, headers: headers(pipeline.executor, "application/json"),
      body: ResponseBody(byteBuffer: ByteBuffer(bytes: json.bytes)))
  }

  @Sendable private func cursor(_ request: Request, _ context: APIContext) async throws -> Response {
    let grant = try access.database(request, context)
    let (body, _) = try await self.body(CursorBody.self, of: request, context)
    guard request.headers[.idempotencyKey] == nil else {
      throw APIError(
        .badRequest, HranaError("NOT_APPLIED_IDEMPOTENCY", "an Idempotency-Key needs a pipeline, not a cursor"))
    }
    let executor = try await executor(for: body.baton, grant, context)
    let isMovable = executor.stream.isMovable
    var cursor = HranaCursor(executor)
    let lines: [UInt8]?
    do throws(HranaError) {
      lines = try await cursor.start(body.batch)
    } catch {
      let isMoved = error.isMoved && isMovable && !cursor.executor.hasWritten
      _ = await giveBack(cursor.executor, baton: isMoved ? body.baton : nil)
      if isMoved { throw ShardMoved() }
      throw APIError(.badRequest, error)
    }
    let baton = lines == nil ? registry.drawBaton() : draw(cursor.executor.stream)
    // From here on the registry has the stream: a reply that is never written leaves nothing open.
    let kept = await giveBack(cursor.executor, baton: baton)
    var json = JSONText(capacity: (lines?.count ?? 0) + 128)
    json.raw(#"{"baton":"#)
    json.string(kept)
    json.raw(#","base_url":null}"#)
    json.raw("\n")
    if let lines { json.raw(lines) }
    let head = ByteBuffer(bytes: json.bytes)
    let fields = headers(cursor.executor, "application/x-ndjson")
    guard lines == nil else { return Response(status: .ok, headers: fields, body: ResponseBody(byteBuffer: head)) }
    let started = cursor
    return Response(
      status: .ok, headers: fields,
      body: ResponseBody { writer in
        try await stream(started, head: head, baton: baton, to: &writer)
        try await writer.finish(nil)
      })
  }

  /// Writes a cursor's lines as fast as the client takes them.
  private func stream(
    _ started: HranaCursor, head: ByteBuffer, baton: String, to writer: inout any ResponseBodyWriter
  ) async throws {
    var cursor = started
    let (account, credential) = (started.executor.stream.account, started.executor.stream.credential)
    // Before the client knows the baton: from then on it may use it, and waits until the stream is back.
    let stream = registry.takeNow(baton, account: account, credential: credential, forCursor: true)
    var failure: HranaError?
    if let stream {
      cursor.executor.stream = stream
      do {
        try await writer.write(head)
        while let lines = try await cursor.next() { try await writer.write(ByteBuffer(bytes: lines)) }
      } catch let error as HranaError {
        failure = error
      } catch {
        // The client reads no further, but it may go on with the stream.
        _ = await giveBack(cursor.finish(), baton: baton)
        throw error
      }
      _ = await giveBack(cursor.finish(), baton: baton)
    } else {
      try await writer.write(head)
      failure = HranaError("STREAM_EXPIRED", "the stream ended before its result was read")
    }
    guard let failure else { return }
    var json = JSONText()
    json.raw(#"{"type":"error","error":"#)
    json.error(failure)
    json.raw("}\n")
    try await writer.write(ByteBuffer(bytes: json.bytes))
  }

  // MARK: streams

  func executor(
    for baton: String?, _ grant: DatabaseGrant, _ context: APIContext
  ) async throws -> HranaExecutor {
    var stream = HranaStream(account: grant.account, credential: grant.credential)
    if let baton {
      if let found = await registry.take(baton, account: grant.account, credential: grant.credential) {
        stream = found
      } else {
        guard let foreign = Baton(baton), registry.isForeign(foreign) else {
          throw APIError(
            .badRequest,
            HranaError("STREAM_EXPIRED", "the stream has ended: its baton is old, unknown or was used already"))
        }
        guard let number = foreign.lastInsertRowID else { throw Self.lostStream }
        stream.lastInsertRowID = number
      }
    }
    var executor = HranaExecutor(
      engine: node.engine, registry: registry, clock: clock, limits: limits, stream: stream, serving: grant.serving)
    // Alone, a node waits for its own disk only.
    if grant.serving != nil { executor.bound = (deadlines, context.deadline) }
    return executor
  }

  private static let lostStream = APIError(
    .badRequest,
    HranaError(
      "NOT_APPLIED_STREAM_EXPIRED",
      "the stream was held by a node that no longer leads the account, or has started anew: its transaction was rolled "
        + "back, and nothing of this request was applied; begin again on a new stream"))

  private func draw(_ stream: HranaStream) -> String {
    registry.drawBaton(lastInsertRowID: stream.isMovable ? stream.lastInsertRowID : nil)
  }

  /// Keeps the stream for its next request under `baton`; closes it without one. Gives the baton that holds.
  private func giveBack(_ executor: HranaExecutor, baton: String?) async -> String? {
    if let baton, registry.put(executor.stream, baton: baton) { return baton }
    var executor = executor
    await executor.closeSession()
    return nil
  }

  /// Closes streams whose time is over, until the task is cancelled.
  func expireStreams() async {
    while !Task.isCancelled {
      for stream in registry.takeExpired() { await close(stream) }
      try? await Task.sleep(for: .milliseconds(500))
    }
    for stream in registry.close() { await close(stream) }
  }

  private func close(_ stream: HranaStream) async {
    guard let session = stream.session else { return }
    await session.close()
    registry.releaseSession(stream.account)
  }

  // MARK: HTTP

  private func body<T: Decodable>(
    _: T.Type, of request: Request, _ context: APIContext
  ) async throws -> (T, hash: [UInt8]) {
    let bytes = try await self.bytes(of: request, context)
    do {
      return (try JSONDecoder().decode(T.self, from: Data(bytes)), SHA256.hash(bytes))
    } catch {
      throw APIError(.badRequest, HranaError("HRANA_PROTOCOL", "the request is not valid Hrana: \(Self.reason(error))"))
    }
  }

  func bytes(of request: Request, _ context: APIContext) async throws -> [UInt8] {
    try await context.askForBody()
    do {
      return Array(
        try await request.body.collect(upTo: node.configuration.limits.sqlRequestBytes).readableBytesView)
    } catch is NIOTooManyBytesError {
      throw Self.tooLarge
    }
  }

  static let tooLarge = APIError(
    .contentTooLarge, HranaError("REQUEST_TOO_LARGE", "the request is larger than the node accepts"))

  /// What is wrong, without any of the content.
  private static func reason(_ error: any Error) -> String {
    switch error {
    case DecodingError.dataCorrupted(let context), DecodingError.typeMismatch(_, let context),
      DecodingError.valueNotFound(_, let context):
      context.debugDescription.prefix(200).description
    case DecodingError.keyNotFound(let key, _): "\(key.stringValue) is missing"
    default: "it cannot be read"
    }
  }

  func idempotency(_ request: Request, _ hash: [UInt8]) throws -> Idempotency? {
    guard let key = request.headers[.idempotencyKey] else { return nil }
    guard (1...Limits.idempotencyKeyBytesMax).contains(key.utf8.count) else {
      throw APIError(
        .badRequest,
        HranaError("IDEMPOTENCY_KEY", "Idempotency-Key must have 1 to \(Limits.idempotencyKeyBytesMax) bytes"))
    }
    return Idempotency(key: key, requestHash: hash)
  }

  func headers(_ executor: HranaExecutor, _ type: String) -> HTTPFields {
    var fields: HTTPFields = [.contentType: type, .cacheControl: "no-store", .komoraNode: node.configuration.name]
    if let position = executor.position { fields[.komoraPosition] = "\(position)" }
    return fields
  }
}
