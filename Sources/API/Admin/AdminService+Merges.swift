// `POST /v1/accounts/{a}/merges` and `…/merges/{job}/undo`: chosen rows and recordings of an old state brought back into
// the account, and taken back again. Whoever leads the account does it, out of its own archive.

import Backup
import Base
import HTTPTypes
import Hummingbird
import Node
import OpenSSL

extension AdminService {
  private struct MergeBody: Codable {
    /// A snapshot's id, or a moment in RFC 3339.
    var from: String
    var only: [String]
    /// `refuse`, `keep` or `take`; without it `refuse`.
    var onConflict: String?
    var dryRun: Bool?
    /// How many conflicts are told one by one; without it 1,000.
    var listed: Int?
  }

  private struct MergeUndoBody: Codable {
    var onConflict: String?
    var dryRun: Bool?
    var listed: Int?
  }

  func addMergeRoutes(to shards: RouterGroup<APIContext>) {
    shards.post("accounts/:account/merges") { request, context in
      let record = try access.account(.backup, ownerToo: false, request, context)
      let wanted = try await body(MergeBody.self, of: request, context)
      let point = try mergePoint(wanted.from)
      let selection = try patterns(wanted.only)
      if case .snapshot(let id) = point { try await checkHere(id, record.name, request, context) }
      let order = MergeOrder(
        from: point, selection: selection, policy: try policy(wanted.onConflict), dryRun: wanted.dryRun ?? false,
        listed: wanted.listed ?? 1_000, idempotency: try key(of: wanted, request))
      return try accepted(node.startMerge(account: record.name, order))
    }
    shards.post("accounts/:account/merges/:merge/undo") { request, context in
      let record = try access.account(.backup, ownerToo: false, request, context)
      let wanted = try await body(MergeUndoBody.self, of: request, context)
      guard let merge = context.parameters.get("merge").flatMap(JobID.init(_:)) else {
        throw APIError(.notFound, code: "notFound", "a merge is named by the id of its job")
      }
      return try accepted(
        node.startMergeUndo(
          account: record.name,
          MergeUndoRequest(
            merge: merge.bits, policy: try policy(wanted.onConflict), dryRun: wanted.dryRun ?? false,
            listed: wanted.listed ?? 1_000, idempotency: try key(of: wanted, request, merge))))
    }
  }

  /// What the patterns choose; nil without any.
  func selection(_ texts: [String]?) throws(APIError) -> RowSelection? {
    guard let texts else { return nil }
    return try patterns(texts)
  }

  private func patterns(_ texts: [String]) throws(APIError) -> RowSelection {
    do throws(BackupError) { return try RowSelection(texts) } catch {
      throw APIError(.badRequest, code: "invalid", error.message, applied: .no)
    }
  }

  private func mergePoint(_ text: String) throws(APIError) -> MergePoint {
    if let id = SnapshotID(text) { return .snapshot(id) }
    if let moment = RFC3339.moment(text) { return .moment(moment) }
    throw APIError(
      .badRequest, code: "invalid",
      "from is a snapshot's id (`komora snapshot list`) or a time such as 2026-01-31T12:00:00Z", applied: .no)
  }

  private func policy(_ text: String?) throws(APIError) -> MergePolicy {
    guard let text else { return .refuse }
    guard let policy = MergePolicy(rawValue: text) else {
      throw APIError(.badRequest, code: "invalid", "on_conflict is refuse, keep or take", applied: .no)
    }
    return policy
  }

  /// The rows are read where they are written: a snapshot that lies elsewhere is named with its node.
  private func checkHere(_ id: SnapshotID, _ name: String, _ request: Request, _ context: APIContext) async throws {
    let own = node.configuration.name
    let found = try await archives(of: name, request, context).snapshots.filter { $0.id == "\(id)" }
    if found.contains(where: { $0.node == own }) { return }
    let advice = "restore it under another name with --only and copy with SQL, or merge from a snapshot that \(own) has"
    guard let other = found.first else {
      throw APIError(
        .notFound, code: "notFound",
        node.standsAlone
          ? "there is no such snapshot in the archive"
          : "\(own) leads the account, and its archive has no such snapshot (`komora snapshot list` says which node has it): "
            + advice)
    }
    throw APIError(
      .conflict, code: "refused", "\(own) leads the account, and \(other.node) has the snapshot: \(advice)",
      applied: .no)
  }

  /// The request's own name, for the account to remember: the key belongs to the token that sent it.
  private func key(
    of body: some Encodable, _ request: Request, _ merge: JobID? = nil
  ) throws -> (key: String, hash: [UInt8])? {
    guard let key = request.headers[.idempotencyKey] else { return nil }
    let owner = Array((request.headers[.authorization] ?? "").utf8)
    let name = SHA256.hash(parts: [SHA256.hash(owner), Array(key.utf8)]).hex
    let hash = SHA256.hash(parts: [Array("\(merge.map { "\($0)" } ?? "") ".utf8), Array(try AdminJSON.bytes(body))])
    return ("merge \(name)", hash)
  }
}
