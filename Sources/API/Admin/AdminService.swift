// The admin API under `/v1`: JSON in and out, bearer tokens, problems as RFC 9457 documents, long work as jobs.
//
// An administrator needs the scope that a route names; an account's own token may look at its account, and make and
// check its snapshots.

import Base
import HTTPTypes
import Hummingbird
import Node

struct AdminService: Sendable {
  let node: NodeService
  let access: Access
  let anywhere: ShardRouter

  func addRoutes(to router: RouterGroup<APIContext>) {
    let shards = router.group().add(
      middleware: ShardForwarding(router: anywhere, access: access, surface: .admin))
    addAccountRoutes(to: router)
    addKeyRoutes(to: router)
    addRecoveryRoute(to: shards)
    addSnapshotRoute(to: shards)
    addBackupRoutes(to: router)
    addMergeRoutes(to: shards)
    addExportRoute(to: shards)
    addExportRoutes(to: router)
    addJobRoutes(to: router)
    addTokenRoutes(to: router)
    addClusterRoutes(to: router)
    router.get("node") { request, context in
      try access.administrator(.read, request, context)
      let configuration = node.configuration
      return try AdminJSON.response(
        NodeReply(
          id: "\(node.nodeID)", name: configuration.name, region: configuration.region, zone: configuration.zone,
          accounts: node.accounts().count))
    }
  }

  func body<T: Decodable>(_ type: T.Type, of request: Request, _ context: APIContext) async throws -> T {
    try await context.askForBody()
    return try await AdminJSON.body(type, of: request, limit: node.configuration.limits.adminRequestBytes)
  }
}
