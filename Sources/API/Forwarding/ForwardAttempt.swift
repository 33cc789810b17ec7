// One attempt to have a request answered by another node: head and body over, reply back, as fast as both ends take
// them.
//
// When the reply comes before the whole body was sent, the rest is read from the client and dropped: it would read no
// reply before it has sent everything. A reply's body goes to the client while it arrives.

import Base
import Fabric
import Formats
import HTTPTypes
import Hummingbird
import NIOCore
import Node
import Threads

struct ForwardAttempt: Sendable {
  enum Outcome: Sendable {
    case answered(Response)
    /// Nothing was handled there.
    case notReached
    case notHere
    /// It cannot be passed on at all.
    case refused(APIError)
    /// The way broke, or its time was over, before the reply's head came.
    case lost(String)
  }

  let node: NodeService
  let wanted: ShardRequest
  let target: NodeID
  let deadline: ContinuousClock.Instant
  private let bodyState = Lock(BodyState())
  /// For the reply of a node that keeps the same deadline to arrive.
  private static let grace = Duration.seconds(2)

  private struct BodyState {
    var hasBegun = false
    /// What still comes is dropped.
    var isOver = false
    /// Moves on while a body arrives.
    var limit: ContinuousClock.Instant?
  }

  init(node: NodeService, wanted: ShardRequest, target: NodeID, deadline: ContinuousClock.Instant) {
    self.node = node
    self.wanted = wanted
    self.target = target
    self.deadline = deadline
  }

  /// A body that can be read only once was begun.
  var hasTakenBody: Bool { wanted.body == nil && bodyState.with { $0.hasBegun } }

  func run() async -> Outcome {
    let exchange: ForwardedExchange
    do throws(NodeError) {
      exchange = try await node.forward(wanted.head(to: 0, until: deadline), to: target, until: deadline)
    } catch {
      return error.code == .unavailable ? .notReached : .refused(APIError(error))
    }
    bodyState.with { $0.limit = deadline + Self.grace }
    let alarm = Task { await giveUp(exchange) }
    defer { alarm.cancel() }
    return await withTaskGroup(of: Void.self) { group in
      if !wanted.waitsWithBody { group.addTask { await sendBody(exchange) } }
      let outcome = await replies(exchange) { group.addTask { await sendBody(exchange) } }
      bodyState.with { $0.isOver = true }
      await group.waitForAll()
      return outcome
    }
  }

  /// Ends an attempt whose time is over.
  private func giveUp(_ exchange: ForwardedExchange) async {
    while let limit = bodyState.with({ $0.limit }), limit > .now {
      guard (try? await Task.sleep(until: limit, clock: .continuous)) != nil else { return }
    }
    await exchange.cancel()
  }

  // MARK: the request's body

  private func sendBody(_ exchange: ForwardedExchange) async {
    if let body = wanted.body {
      // A break shows where the reply is awaited.
      if body.readableBytes > 0 { try? await exchange.send(Array(body.readableBytesView)) }
      return await exchange.finish()
    }
    bodyState.with { $0.hasBegun = true }
    do {
      for try await piece in wanted.request.body {
        let isOver = bodyState.with { state in
          state.limit = max(deadline, .now + node.configuration.timers.requestTimeout) + Self.grace
          return state.isOver
        }
        guard !isOver else { continue }
        do { try await exchange.send(Array(piece.readableBytesView)) } catch { bodyState.with { $0.isOver = true } }
      }
    } catch {
      // The client has gone: nobody wants the reply.
      return await exchange.cancel()
    }
    if !bodyState.with({ $0.isOver }) { await exchange.finish() }
  }

  // MARK: the reply

  private func replies(_ exchange: ForwardedExchange, _ onBodyWanted: () -> Void) async -> Outcome {
    var isAsked = !wanted.waitsWithBody
    do {
      while true {
        switch try await exchange.reply() {
        case .wantsBody:
          guard !isAsked else { continue }
          isAsked = true
          try await wanted.context.askForBody()
          onBodyWanted()
        case .notHere: return .notHere
        case .head(let status, let fields): return .answered(try await response(status, fields, exchange))
        }
      }
    } catch let error as FabricError where error.code == .tooLarge || (error.code == .refused && error.reason == nil) {
      // Nobody there has looked at it: that node is starting or stopping, or has as many streams as it takes.
      return .notReached
    } catch {
      await exchange.cancel()
      return .lost("the node that leads the account did not answer (\(error))")
    }
  }

  private func response(
    _ status: UInt16, _ passed: [ForwardedField], _ exchange: ForwardedExchange
  ) async throws -> Response {
    let fields = PassedFields.fields(passed)
    let status = HTTPResponse.Status(code: Int(status))
    let length = fields[.contentLength].flatMap { Int($0) }
    guard wanted.request.method != .head, length != 0, status != .noContent, status != .notModified else {
      return Response(status: status, headers: fields)
    }
    guard let first = try await exchange.body() else { return Response(status: status, headers: fields) }
    if first.count == length {
      return Response(status: status, headers: fields, body: ResponseBody(byteBuffer: ByteBuffer(bytes: first)))
    }
    return Response(
      status: status, headers: fields,
      body: ResponseBody(contentLength: length) { writer in
        do {
          try await writer.write(ByteBuffer(bytes: first))
          while let bytes = try await exchange.body() { try await writer.write(ByteBuffer(bytes: bytes)) }
        } catch {
          await exchange.cancel()
          throw error
        }
        try await writer.finish(nil)
      })
  }
}
