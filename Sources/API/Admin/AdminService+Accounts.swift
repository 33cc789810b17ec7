// Accounts: made, listed, shown, deleted.

import HTTPTypes
import Hummingbird
import Logging
import Node

extension AdminService {
  private struct NewAccount: Decodable {
    var name: String
    var home: String?
    var survive: String?
    var residency: [String]?
    var timezone: String?

    func options() throws(APIError) -> AccountOptions {
      var options = AccountOptions(home: home, residency: residency ?? [], timezone: timezone ?? "UTC")
      if let survive {
        guard let goal = Survival(rawValue: survive) else {
          throw APIError(.unprocessableContent, code: "invalid", "survive must be one of none, node, region")
        }
        options.survive = goal
      }
      return options
    }
  }

  func addAccountRoutes(to router: RouterGroup<APIContext>) {
    router.get("accounts") { request, context in
      try access.administrator(.read, request, context)
      return try AdminJSON.response(AccountsReply(accounts: node.accounts().map(AccountReply.init)))
    }
    router.post("accounts") { request, context in
      try access.administrator(.accounts, request, context)
      let wanted = try await body(NewAccount.self, of: request, context)
      let record = try await node.createAccount(name: wanted.name, wanted.options())
      context.logger.info("account created", metadata: ["account": "\(record.id)"])
      return try AdminJSON.response(AccountReply(await node.status(ofAccount: record.name)), status: .created)
    }
    router.get("accounts/:account") { request, context in
      let record = try access.account(.read, ownerToo: true, request, context)
      return try AdminJSON.response(AccountReply(await node.status(ofAccount: record.name)))
    }
    router.delete("accounts/:account") { request, context in
      let record = try access.account(.accounts, ownerToo: false, request, context)
      try await node.deleteAccount(named: record.name)
      context.logger.info("account deleted", metadata: ["account": "\(record.id)"])
      return Response(status: .noContent)
    }
  }
}
