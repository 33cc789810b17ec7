// A request whose signature was checked here, answered by the node that leads its account.
//
// A small body is taken into memory, so that it can be sent again when the account has just moved; a large one streams
// through. The other node checks the signature once more: the head goes there as it came.

import Formats
import HTTPTypes
import Hummingbird
import NIOCore
import Node

extension S3Service {
  private static let keptBodyBytesMax = 1 << 20

  func answerAnywhere(_ checked: S3Request) async throws -> Response {
    var (request, context) = (checked.request, checked.context)
    try context.take(request.headers[.komoraDeadline], within: node.configuration.timers.requestTimeout)
    let body = try await keptBody(&request, context)
    let isRead = request.method == .get || request.method == .head
    let wanted = ShardRequest(
      surface: .s3, request: request, context: context, account: checked.account.id,
      body: body, demand: isRead ? try ReadDemand(request.headers) : nil,
      isRepeatable: { isRead })
    return try await ShardRouter(node: node).answer(wanted, of: checked.account) { request, context in
      var again = checked
      again.request = request
      again.context = context
      return try await answer(again)
    }
  }

  /// Nil for a body that is large, or whose length is not said.
  private func keptBody(_ request: inout Request, _ context: APIContext) async throws -> ByteBuffer? {
    guard request.method == .put || request.method == .post else { return ByteBuffer() }
    guard let length = request.headers[.contentLength].flatMap({ Int($0) }), length <= Self.keptBodyBytesMax else {
      return nil
    }
    try await context.askForBody()
    return try await request.collectBody(upTo: Self.keptBodyBytesMax)
  }
}
