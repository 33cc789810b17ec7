// Moments of an account: which can be restored, and the restore to one.
//
// The archived log lies where snapshots lie: on the node that led the account when it began. So all are asked, with the
// caller's credential, and a restore is passed on to one whose archive has the moment.

import Backup
import Base
import HTTPTypes
import Hummingbird
import NIOCore
import Node
import Threads

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
  /// What all nodes' archives can restore, each by itself; of a request that came from another node only what this one's can.
  func moments(of name: String, _ request: Request, _ context: APIContext) async throws -> MomentsReply {
    let own = node.configuration.name
    var reply = MomentsReply(
      moments: try await node.moments(account: name).map {
        MomentsReply.Span(from: RFC3339.text($0.from), through: RFC3339.text($0.through), node: own)
      })
    guard !node.standsAlone, context.forwarded == nil else { return reply }
    let wanted = asked(.get, "/v1/accounts/\(name)/moments", request, context, ByteBuffer())
    let deadline = min(context.deadline, .now + Self.othersWait)
    await withTaskGroup(of: [MomentsReply.Span].self) { group in
      for other in node.otherNodes { group.addTask { await moments(on: other, wanted, until: deadline) } }
      for await spans in group { reply.moments += spans }
    }
    reply.moments.sort { ($0.from, $0.node) < ($1.from, $1.node) }
    return reply
  }

  /// Nothing from a node that does not answer: its moments cannot be restored now either.
  private func moments(
    on other: NodeID, _ wanted: ShardRequest, until deadline: ContinuousClock.Instant
  ) async -> [MomentsReply.Span] {
    let outcome = await ForwardAttempt(node: node, wanted: wanted, target: other, deadline: deadline).run()
    guard case .answered(let answer) = outcome, answer.status == .ok else { return [] }
    let collector = BodyCollector(bytesMax: Self.listBytesMax)
    guard (try? await answer.body.write(collector)) != nil else { return [] }
    return (try? AdminJSON.decode(MomentsReply.self, from: collector.bytes.with { $0 }))?.moments ?? []
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
    if context.forwarded == nil, let there = try await holder(of: moment, source, request, context) {
      let body = RestoreBody(account: source, at: text, as: wanted.as, dryRun: wanted.dryRun, only: wanted.only)
      return try await pass("/v1/restores", body, to: there, node.nodeName(there) ?? "\(there)", request, context)
    }
    return try accepted(
      node.startRestore(
        RestoreRequest(
          account: source, moment: moment, target: try target(of: wanted), dryRun: wanted.dryRun ?? false,
          only: try selection(wanted.only))))
  }

  /// The node to ask: this one (nil) when its archive has the moment, else one whose archive has it, else the one that
  /// leads the account: it archives what is newest first, and says best why a moment cannot be had. A new leader without
  /// an archive of the account leaves that to whoever goes on archiving it.
  private func holder(
    of moment: UnixMicroseconds, _ source: String, _ request: Request, _ context: APIContext
  ) async throws -> NodeID? {
    guard !node.standsAlone, let record = node.archivedOrLiving(source) else { return nil }
    let own = node.configuration.name
    let spans = try await moments(of: source, request, context).moments.compactMap { span -> (MomentSpan, String)? in
      guard let from = RFC3339.moment(span.from), let through = RFC3339.moment(span.through), from <= moment else {
        return nil
      }
      return (MomentSpan(from: from, through: max(from, through)), span.node)
    }
    let names = spans.filter { $0.0.through >= moment }.map(\.1)
    if names.contains(own) { return nil }
    if let name = names.first { return node.nodeID(named: name) }
    // Behind everything: the leader's archive if it has any of the account, else the one that goes furthest.
    if case .node(let leader) = node.route(of: record), spans.contains(where: { $0.1 == node.nodeName(leader) }) {
      return leader
    }
    if node.leads(record), spans.contains(where: { $0.1 == own }) { return nil }
    if let furthest = spans.max(by: { $0.0.through < $1.0.through }) {
      return furthest.1 == own ? nil : node.nodeID(named: furthest.1)
    }
    if case .node(let leader) = node.route(of: record) { return leader }
    return nil
  }
}
