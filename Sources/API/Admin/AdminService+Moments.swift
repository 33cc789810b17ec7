// Moments of an account: which can be restored, and the restore to one.
//
// The archived log lies where snapshots lie: on the node that led the account at the time. A moment is restored by the
// node that leads now, which archives what is newest first; a moment that this one's archive does not reach is looked for
// on the others.

import Backup
import Base
import Hummingbird
import Node

struct MomentsReply: Codable {
  struct Span: Codable {
    var from: String
    var through: String
    /// Whose archive has them.
    var node: String
  }
  /// Oldest first.
  var moments: [Span]
}

extension AdminService {
  /// What this node's archive can restore; without `forwarded` also what the leading node's can.
  func moments(of name: String, _ request: Request, _ context: APIContext) async throws -> MomentsReply {
    let node = self.node.configuration.name
    return MomentsReply(
      moments: try await self.node.moments(account: name).map {
        MomentsReply.Span(from: RFC3339.text($0.from), through: RFC3339.text($0.through), node: node)
      })
  }

  func restore(
    _ wanted: RestoreBody, of source: String, at text: String, _ request: Request, _ context: APIContext
  ) async throws -> Response {
    guard wanted.snapshot == nil, wanted.latest != true else {
      throw APIError(.badRequest, code: "invalid", "give either a snapshot or at, not both")
    }
    guard let moment = text == "now" ? node.now : RFC3339.moment(text) else {
      throw APIError(.badRequest, code: "invalid", "at wants a time such as 2026-01-31T12:00:00Z, or now")
    }
    // A request that another node passed on is answered from this archive, whatever it holds.
    if context.forwarded == nil, let there = await holder(of: moment, source) {
      let body = RestoreBody(account: source, at: text, as: wanted.as, dryRun: wanted.dryRun)
      return try await pass("/v1/restores", body, to: there, node.nodeName(there) ?? "\(there)", request, context)
    }
    return try accepted(
      node.startRestore(
        RestoreRequest(account: source, moment: moment, target: wanted.as, dryRun: wanted.dryRun ?? false)))
  }

  /// The node that leads the account, when it is another one and this one's archive does not have the moment either.
  private func holder(of moment: UnixMicroseconds, _ source: String) async -> NodeID? {
    guard !node.standsAlone, let record = node.archivedOrLiving(source), !node.leads(record),
      case .node(let leader) = node.route(of: record)
    else { return nil }
    let own = (try? await node.moments(account: source)) ?? []
    return own.contains { ($0.from...$0.through).contains(moment) } ? nil : leader
  }
}
