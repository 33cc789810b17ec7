// Answers what other nodes pass on, by the very same handlers that answer clients of this node's ports: credential,
// rights, limits and signature are checked as if the client were here.
//
// In a graceful shutdown nothing new is taken, so that the other nodes ask elsewhere, and what is under way is answered.

import Base
import Formats
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Node
import ServiceLifecycle
import Threads

struct ForwardedServing: Service {
  let node: NodeService
  let api: any HTTPResponder<APIContext>
  let s3: any HTTPResponder<APIContext>
  let logger: Logger
  private let running = Lock<(count: Int, waiter: CheckedContinuation<Void, Never>?)>((0, nil))

  init(
    node: NodeService, api: any HTTPResponder<APIContext>, s3: any HTTPResponder<APIContext>, logger: Logger
  ) {
    self.node = node
    self.api = api
    self.s3 = s3
    self.logger = logger
  }

  func run() async throws {
    node.takeForwarded { call in await serve(call) }
    do { try await gracefulShutdown() } catch {
      // Cancelled: nobody waits for an orderly end.
      return node.stopTakingForwarded()
    }
    node.stopTakingForwarded()
    await withCheckedContinuation { continuation in
      let isIdle = running.with { running in
        if running.count > 0 { running.waiter = continuation }
        return running.count == 0
      }
      if isIdle { continuation.resume() }
    }
  }

  private func serve(_ call: ForwardedCall) async {
    running.with { $0.count += 1 }
    await answer(call)
    let waiter = running.with { running in
      running.count -= 1
      guard running.count == 0 else { return nil as CheckedContinuation<Void, Never>? }
      return running.waiter.take()
    }
    waiter?.resume()
  }

  private func answer(_ call: ForwardedCall) async {
    let wanted = call.request
    guard let method = HTTPRequest.Method(rawValue: wanted.method) else { return await call.cancel() }
    let request = Request(
      head: HTTPRequest(
        method: method, scheme: "https", authority: wanted.authority, path: wanted.target,
        headerFields: PassedFields.fields(wanted.fields)),
      body: RequestBody(asyncSequence: ForwardedBody(call: call)))
    let context = APIContext(call, logger)
    do {
      let response = try await (wanted.surface == .api ? api : s3).respond(to: request, context: context)
      if let epoch = call.declined { return try await call.answerNotHere(epoch) }
      try await response.body.write(
        ForwardedWriter(call, status: UInt16(response.status.code), PassedFields.ofReply(response.headers)))
    } catch {
      // The handlers turn their own failures into replies: what comes here is a way that broke, or a body.
      context.logger.debug("forwarded request ended early", metadata: ["error": "\(error)"])
      await call.cancel()
    }
  }
}

/// Writes a reply; its head goes together with the first bytes of its body.
private struct ForwardedWriter: ResponseBodyWriter {
  private let call: ForwardedCall
  private let status: UInt16
  private let fields: [ForwardedField]
  private var isHeadSent = false

  init(_ call: ForwardedCall, status: UInt16, _ fields: [ForwardedField]) {
    (self.call, self.status, self.fields) = (call, status, fields)
  }

  mutating func write(_ buffer: ByteBuffer) async throws {
    let bytes = Array(buffer.readableBytesView)
    guard !isHeadSent else { return try await call.send(bytes) }
    isHeadSent = true
    try await call.answer(status: status, fields, bytes)
  }

  consuming func finish(_ trailingHeaders: HTTPFields?) async throws {
    if !isHeadSent { try await call.answer(status: status, fields, []) }
    await call.finish()
  }
}
