// `POST /v1/accounts/{a}/diff`: what differs between two states of an account, as a job of the node whose archive has
// the snapshots.

import Backup
import Base
import HTTPTypes
import Hummingbird
import Node

extension AdminService {
  private struct DiffBody: Codable {
    /// A snapshot's id, or `live`.
    var from: String
    /// Likewise; without it `live`.
    var to: String?
    /// How many rows, and how many recordings, are listed; without it none. All are counted.
    var listed: Int?
  }

  func addDiffRoute(to router: RouterGroup<APIContext>) {
    router.post("accounts/:account/diff") { request, context in
      let name = try archived(request, context, .backup)
      let wanted = try await body(DiffBody.self, of: request, context)
      let diff = DiffRequest(
        from: try side(wanted.from), to: try side(wanted.to ?? "live"), listed: wanted.listed ?? 0)
      let found = try await holder(of: diff, name, request, context)
      if let found, let there = holder(of: found) {
        let path = "/v1/accounts/\(name)/diff"
        return try await pass(path, wanted, to: there, found.node, request, context)
      }
      return try accepted(node.startDiff(account: name, diff))
    }
  }

  private func side(_ text: String) throws(APIError) -> DiffSide {
    guard let side = DiffSide(text) else {
      throw APIError(
        .badRequest, code: "invalid", "what is compared is a snapshot's id (`komora snapshot list`) or `live`")
    }
    return side
  }

  /// A snapshot of the request in an archive that has all of them, this node's if it has; nil when it names none.
  private func holder(
    of diff: DiffRequest, _ name: String, _ request: Request, _ context: APIContext
  ) async throws -> SnapshotReply? {
    var wanted: [SnapshotID] = []
    for case .snapshot(let id) in [diff.from, diff.to] { wanted.append(id) }
    guard let first = wanted.first, let last = wanted.last else { return nil }
    let archives = try await archives(of: name, request, context)
    let (one, other) = (try find(first, in: archives), try find(last, in: archives))
    let nodes = Set(archives.snapshots.filter { $0.id == one.id }.map(\.node))
      .intersection(archives.snapshots.filter { $0.id == other.id }.map(\.node))
    if nodes.contains(one.node) { return one }
    guard let node = nodes.min() else {
      throw APIError(
        .conflict, code: "refused",
        "\(one.node) has one of the snapshots and \(other.node) the other: restore one of them under another name and "
          + "compare the two with SQL", applied: .no)
    }
    return archives.snapshots.first { $0.id == one.id && $0.node == node }
  }
}
