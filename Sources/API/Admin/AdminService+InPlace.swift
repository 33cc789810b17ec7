// Restores in place and their undo: by the node that leads the account, from an archive of its own.

import Backup
import Base
import HTTPTypes
import Hummingbird
import Node
import OpenSSL
import ShardStore

extension AdminService {
  private struct UndoBody: Codable {
    /// Where no node remembers the job any more.
    var account: String?
    var dryRun: Bool?
  }

  func addUndoRoute(to router: RouterGroup<APIContext>) {
    router.post("restores/:job/undo") { request, context in
      try access.administrator(.backup, request, context)
      return try await undo(request, context)
    }
  }

  func target(of wanted: RestoreBody) throws(APIError) -> String {
    if let target = wanted.as { return target }
    throw APIError(
      .badRequest, code: "invalid", "give the name of the account that is made in the field as, or in_place",
      applied: .no)
  }

  func restoreInPlace(
    _ wanted: RestoreBody, of source: String, _ request: Request, _ context: APIContext
  ) async throws -> Response {
    guard wanted.as == nil, [wanted.snapshot, wanted.at].compactMap({ $0 }).count <= 1 || wanted.latest == true else {
      throw APIError(.badRequest, code: "invalid", "in_place goes with one of snapshot, at and latest, and without as")
    }
    let record = try node.account(named: source)
    var ordered = wanted
    ordered.account = source
    let state: ArchivedState
    if let at = wanted.at {
      guard let moment = at == "now" ? node.now : RFC3339.moment(at) else {
        throw APIError(.badRequest, code: "invalid", "at wants a time such as 2026-01-31T12:00:00Z, or now")
      }
      state = .moment(moment)
    } else {
      let id = try await snapshot(wanted, of: record, request, context)
      ordered.snapshot = "\(id)"
      state = .snapshot(id)
    }
    if let leader = try leader(of: record, context) {
      return try await pass(
        "/v1/restores", ordered, to: leader, node.nodeName(leader) ?? "\(leader)", request, context)
    }
    // What was asked for, not what it came to: the newest snapshot may be another one when the request comes again.
    let what = wanted.at ?? (wanted.latest == true ? "latest" : wanted.snapshot ?? "latest")
    return try accepted(
      node.startRestoreInPlace(
        InPlaceWish(
          account: source, state: state, dryRun: wanted.dryRun ?? false,
          request: once(["in place", source, what], request))))
  }

  /// One that lies in the archive of the node that leads the account.
  private func snapshot(
    _ wanted: RestoreBody, of record: AccountRecord, _ request: Request, _ context: APIContext
  ) async throws -> SnapshotID {
    let newest = wanted.snapshot == nil || wanted.snapshot == "latest"
    let archives = try await archives(of: record.name, request, context)
    let found = try find(newest ? nil : try snapshotID(wanted.snapshot), in: archives)
    let own = node.configuration.name
    let name = try leader(of: record, context).map { node.nodeName($0) ?? "\($0)" } ?? own
    guard archives.snapshots.contains(where: { $0.id == found.id && $0.node == name }) else {
      throw APIError(
        .conflict, code: "refused",
        "the snapshot lies on \(found.node), and \(name) leads the account: restore it beside, with as, or choose one "
          + "that lies on \(name)", applied: .no)
    }
    return try snapshotID(found.id)
  }

  /// Nil when this node leads it. What another node has passed on is not passed on again.
  private func leader(of record: AccountRecord, _ context: APIContext) throws -> NodeID? {
    guard context.forwarded == nil, case .node(let leader) = node.route(of: record) else { return nil }
    return leader
  }

  private func undo(_ request: Request, _ context: APIContext) async throws -> Response {
    var wanted = try await body(UndoBody.self, of: request, context)
    guard let text = context.parameters.get("job"), let job = JobID(text) else {
      throw APIError(.notFound, code: "notFound", "there is no restore of that id")
    }
    let known = try wanted.account.map(node.account(named:)) ?? node.account(ofRestore: job)
    guard let record = known else {
      throw APIError(
        .notFound, code: "notFound", "no node remembers a restore in place by that job: name its account, too")
    }
    wanted.account = record.name
    if let leader = try leader(of: record, context) {
      return try await pass(
        "/v1/restores/\(job)/undo", wanted, to: leader, node.nodeName(leader) ?? "\(leader)", request, context)
    }
    return try accepted(
      node.startUndo(
        UndoWish(
          account: record.name, job: job, dryRun: wanted.dryRun ?? false, request: once(["undo", "\(job)"], request))))
  }

  /// The request's key as the account remembers it: bound to the token that sent it, which it does not show.
  private func once(_ parts: [String], _ request: Request) -> Idempotency? {
    guard let key = request.headers[.idempotencyKey] else { return nil }
    let owner = SHA256.hash(Array((request.headers[.authorization] ?? "").utf8))
    let hash = SHA256.hash(parts: [[UInt8]](parts.map { Array($0.utf8) + [0] }))
    return Idempotency(key: SHA256.hash(parts: [owner, Array(key.utf8)]).hex, requestHash: hash)
  }
}
