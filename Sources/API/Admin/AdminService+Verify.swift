// Verifications of snapshots and archives, as jobs of the node whose archive they are.

import Backup
import Base
import HTTPTypes
import Hummingbird
import Node

extension AdminService {
  private struct VerifyBody: Codable {
    /// An id; without one the newest.
    var snapshot: String?
    /// All snapshots of the archive that has the newest.
    var all: Bool?
    /// Part of the chunks, above 0 and at most 1.
    var sample: Double?
    var budgetSeconds: Double?
    var budgetBytes: UInt64?
    /// Every promised moment as well.
    var moments: Bool?
    /// Also what a proof covers.
    var decode: Bool?
  }

  func addVerifyRoutes(to router: RouterGroup<APIContext>) {
    router.post("accounts/:account/snapshots/:snapshot/verify") { request, context in
      let name = try archived(request, context, .backup)
      var wanted = VerifyBody()
      wanted.snapshot = context.parameters.get("snapshot")
      return try await verify(wanted, of: name, request, context)
    }
    router.post("accounts/:account/verify") { request, context in
      let name = try archived(request, context, .backup)
      return try await verify(try await body(VerifyBody.self, of: request, context), of: name, request, context)
    }
  }

  private func verify(
    _ wanted: VerifyBody, of name: String, _ request: Request, _ context: APIContext
  ) async throws -> Response {
    let found = try find(wanted.snapshot.map(snapshotID), in: await archives(of: name, request, context))
    if let there = holder(of: found) {
      var body = wanted
      body.snapshot = found.id
      return try await pass("/v1/accounts/\(name)/verify", body, to: there, found.node, request, context)
    }
    var order = VerifyOrder()
    order.which = wanted.all == true ? .all : .one(try snapshotID(found.id))
    order.sample = wanted.sample ?? 1
    order.seconds = wanted.budgetSeconds
    order.bytes = wanted.budgetBytes
    order.moments = wanted.moments ?? false
    order.decodes = wanted.decode ?? false
    return try accepted(node.startVerify(account: name, order))
  }
}
