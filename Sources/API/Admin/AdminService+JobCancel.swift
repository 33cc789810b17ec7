// `DELETE /v1/jobs/{id}`, and `POST …/cancel` for clients that cannot: ends a job; the reply comes when nothing of its work
// goes on.

import Base
import HTTPTypes
import Hummingbird
import Logging
import Node

extension AdminService {
  func cancelJob(_ request: Request, _ context: APIContext) async throws -> Response {
    let status = try job(request, context)
    // Whoever may start such work may end it; an account's own token its own snapshots and exports.
    let principal = try access.principal(request, context)
    var isAllowed = principal.allows(.backup)
    if case .account = principal { isAllowed = status.kind == .snapshot || status.kind == .export }
    guard isAllowed else {
      throw APIError(.forbidden, code: "forbidden", "the token may look at the job and not end it", applied: .no)
    }
    let ended = try await node.cancelJob(status.id)
    context.logger.notice("job cancelled", metadata: ["job": "\(ended.id)", "kind": "\(ended.kind.rawValue)"])
    return try AdminJSON.response(JobReply(ended.withoutData))
  }
}
