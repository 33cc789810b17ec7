// Administrators' tokens.

import HTTPTypes
import Hummingbird
import Logging
import Node

extension AdminService {
  private struct NewTokenRequest: Decodable {
    var name: String
    var scopes: [String]
    var validForDays: Int?
  }

  func addTokenRoutes(to router: RouterGroup<APIContext>) {
    router.get("tokens") { request, context in
      try access.administrator(.tokens, request, context)
      return try AdminJSON.response(TokensReply(tokens: node.adminTokens().map(TokenReply.init)))
    }
    router.post("tokens") { request, context in
      let principal = try access.principal(request, context)
      try access.administrator(.tokens, request, context)
      let wanted = try await body(NewTokenRequest.self, of: request, context)
      let scopes = wanted.scopes.map(AdminScope.init(rawValue:))
      guard scopes.allSatisfy({ $0 != nil }), (1...366).contains(wanted.validForDays ?? 30) else {
        throw APIError(.unprocessableContent, code: "invalid", "a scope is unknown, or the days are not 1 to 366")
      }
      // Nobody hands out more than he has.
      guard scopes.allSatisfy({ $0.map(principal.allows) ?? false }) else {
        throw APIError(.forbidden, code: "refused", "a token cannot have a scope that its maker does not have")
      }
      let token = try await node.createAdminToken(
        name: wanted.name, scopes: Set(scopes.compactMap { $0 }),
        validFor: .seconds(86_400 * (wanted.validForDays ?? 30)))
      context.logger.notice("administrator's token created", metadata: ["token": "\(token.record.id)"])
      return try AdminJSON.response(TokenReply(token), status: .created)
    }
    router.delete("tokens/:token") { request, context in
      try access.administrator(.tokens, request, context)
      let id = context.parameters.get("token") ?? ""
      try await node.revokeAdminToken(id: id)
      context.logger.notice("administrator's token revoked", metadata: ["token": "\(id)"])
      return Response(status: .noContent)
    }
  }
}
