// In front of the routes of the API port that need an account's shard: sends the request to the node that leads it.
//
// What this node cannot believe goes on to its own handler, which refuses it; so names cannot be probed by where a
// request goes. The node that answers checks the credential again.

import Formats
import HTTPTypes
import Hummingbird
import NIOCore
import Node

struct ShardForwarding: RouterMiddleware {
  typealias Context = APIContext

  enum Surface: Sendable {
    case sql, admin
  }

  let router: ShardRouter
  let access: Access
  let surface: Surface
  /// The account's name, from the path or, where a route has it there, from the body.
  var account: @Sendable (APIContext, ByteBuffer) -> String? = { context, _ in context.parameters.get("account") }

  private var node: NodeService { router.node }

  func handle(
    _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
  ) async throws -> Response {
    guard !node.standsAlone, let principal = access.known(request) else { return try await next(request, context) }
    var (request, context) = (request, context)
    try context.take(request.headers[.komoraDeadline], within: node.configuration.timers.requestTimeout)
    let body = try await collect(&request, context)
    guard let name = account(context, body), let record = access.routed(name, principal) else {
      return try await next(request, context)
    }
    let wanted = ShardRequest(
      surface: .api, request: request, context: context, account: record.id, body: body,
      demand: surface == .sql ? try ReadDemand(request.headers) : nil,
      isRepeatable: { [surface, request] in
        request.method == .get || request.method == .head || request.headers[.idempotencyKey] != nil
          || (surface == .sql && HranaReads.areAll(in: body))
      })
    do {
      return try await router.answer(wanted, of: record, next)
    } catch let failure as RoutingFailure {
      throw surface == .sql ? failure.hrana : failure.problem
    }
  }

  /// The whole body, which these routes keep in memory anyway: so it can be sent more than once.
  private func collect(_ request: inout Request, _ context: APIContext) async throws -> ByteBuffer {
    guard request.method != .get, request.method != .head else { return ByteBuffer() }
    try await context.askForBody()
    let limits = node.configuration.limits
    do {
      return try await request.collectBody(upTo: surface == .sql ? limits.sqlRequestBytes : limits.adminRequestBytes)
    } catch is NIOTooManyBytesError {
      switch surface {
      case .sql: throw HranaService.tooLarge
      case .admin: throw APIError(.contentTooLarge, code: "tooLarge", "the request is larger than the node accepts")
      }
    }
  }
}
