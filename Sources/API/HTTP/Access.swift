// Who may do what on the API port. The one place that looks at a bearer token.
//
// An account that does not exist and one that the token does not open are answered alike, so that a token cannot be
// used to find out names. Failures are counted and logged with the address they came from, never with what was sent.

import Base
import HTTPTypes
import Hummingbird
import Logging
import Node

/// The right to use SQL on one account.
struct DatabaseGrant: Sendable {
  let account: AccountID
  /// Names the credential, not its secret.
  let credential: String
  /// By what right this node answers; nil on a node that stands alone.
  let serving: Serving?
}

struct Access: Sendable {
  let node: NodeService

  /// Who asks.
  func principal(_ request: Request, _ context: APIContext) throws(APIError) -> Principal {
    guard let value = request.headers[.authorization] else {
      throw refused(context, "no bearer token")
    }
    let parts = value.split(separator: " ", maxSplits: 1)
    guard request.headers[values: .authorization].count == 1, parts.count == 2, parts[0].lowercased() == "bearer",
      parts[1].utf8.count <= 1024, let principal = node.authenticate(bearer: String(parts[1]))
    else { throw refused(context, "wrong bearer token") }
    return principal
  }

  /// As `principal`, for a look ahead: nothing is refused, counted or logged here.
  func known(_ request: Request) -> Principal? {
    guard let parts = request.headers[.authorization]?.split(separator: " ", maxSplits: 1), parts.count == 2,
      parts[0].lowercased() == "bearer", parts[1].utf8.count <= 1024
    else { return nil }
    return node.authenticate(bearer: String(parts[1]))
  }

  /// The account that `name` means, or whose archive it does, if `principal` may know of it.
  func routed(_ name: String, _ principal: Principal) -> AccountRecord? {
    guard let record = node.archivedOrLiving(name) else { return nil }
    guard case .account(let id, _) = principal else { return record }
    return record.id == id && record.isActive ? record : nil
  }

  /// SQL on the account of the path.
  func database(_ request: Request, _ context: APIContext) throws(APIError) -> DatabaseGrant {
    let principal = try principal(request, context)
    let (record, credential) = try opened(context.parameters.get("account") ?? "", by: principal)
    if context.serving == nil {
      do throws(NodeError) { try node.checkHeld(record) } catch {
        throw APIError(.misdirectedRequest, HranaError("NOT_APPLIED_ELSEWHERE", error.message))
      }
    }
    return DatabaseGrant(account: record.id, credential: credential, serving: context.serving)
  }

  /// The account of that name, if `principal` may use SQL on it, and the credential's name.
  func opened(_ name: String, by principal: Principal) throws(APIError) -> (record: AccountRecord, credential: String) {
    let hidden = APIError(.notFound, HranaError("NOT_FOUND", "there is no such account, or the token does not open it"))
    guard let record = try? node.account(named: name), record.isActive else { throw hidden }
    switch principal {
    case .account(let id, let keyID):
      guard id == record.id else { throw hidden }
      return (record, "key \(keyID)")
    case .admin(let name, _):
      guard principal.allows(.data) else { throw hidden }
      return (record, "administrator \(name)")
    }
  }

  /// An administrator with `scope`.
  func administrator(_ scope: AdminScope, _ request: Request, _ context: APIContext) throws(APIError) {
    guard try principal(request, context).allows(scope) else { throw Self.forbidden(scope) }
  }

  /// The account of the path, for an administrator with `scope` or, where `ownerToo`, for the account's own token.
  func account(
    _ scope: AdminScope, ownerToo: Bool, _ request: Request, _ context: APIContext
  ) throws(APIError) -> AccountRecord {
    let principal = try principal(request, context)
    let record = try? node.account(named: context.parameters.get("account") ?? "")
    if principal.allows(scope) {
      guard let record else { throw Self.noAccount }
      return record
    }
    guard ownerToo, case .account(let id, _) = principal else { throw Self.forbidden(scope) }
    guard let record, record.id == id, record.isActive else { throw Self.noAccount }
    return record
  }

  static let noAccount = APIError(
    .notFound, code: "notFound", "there is no such account, or the token does not open it")

  private static func forbidden(_ scope: AdminScope) -> APIError {
    APIError(.forbidden, code: "refused", "this needs an administrator's token with the scope \(scope.rawValue)")
  }

  private func refused(_ context: APIContext, _ reason: String) -> APIError {
    node.metrics.counter("komora_authentication_failures_total", [("surface", "api")]).increment()
    context.logger.notice(
      "authentication failed",
      metadata: ["reason": "\(reason)", "from": "\(context.clientAddress ?? "unknown")"])
    return APIError(.unauthorized, code: "unauthorized", "a valid bearer token is needed")
  }
}
