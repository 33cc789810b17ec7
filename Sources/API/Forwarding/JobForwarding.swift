// Jobs of other nodes: a job lives on the node that runs it, and a client asks whichever node it likes.

import Base
import Formats
import HTTPTypes
import Hummingbird
import NIOCore
import Node

struct JobForwarding: RouterMiddleware {
  typealias Context = APIContext

  let router: ShardRouter
  let access: Access

  func handle(
    _ request: Request, context: APIContext, next: (Request, APIContext) async throws -> Response
  ) async throws -> Response {
    let node = router.node
    guard !node.standsAlone, context.forwarded == nil, access.known(request) != nil,
      let id = JobID(context.parameters.get("job") ?? ""), node.job(id) == nil
    else { return try await next(request, context) }
    for other in node.otherNodes {
      if let response = try await router.ask(other, request, context), response.status != .notFound { return response }
    }
    return try await next(request, context)
  }
}

extension ShardRouter {
  /// A request without a body and without a shard, answered by `id`; nil when that node does not answer.
  func ask(_ id: NodeID, _ request: Request, _ context: APIContext) async throws -> Response? {
    let wanted = ShardRequest(
      surface: .api, request: request, context: context, account: AccountID(bits: 0), body: ByteBuffer(), demand: nil,
      isRepeatable: { true })
    let outcome = await ForwardAttempt(node: node, wanted: wanted, target: id, deadline: context.deadline).run()
    guard case .answered(let response) = outcome else { return nil }
    return response
  }
}
