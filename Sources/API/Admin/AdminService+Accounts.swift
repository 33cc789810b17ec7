// Accounts: made, listed, shown, changed, deleted.

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
      options.survive = try AdminService.goal(survive)
      return options
    }
  }

  /// What is missing stays as it is.
  private struct Wishes: Decodable {
    var home: String?
    var survive: String?
    var residency: [String]?
    var timezone: String?
  }

  private static func goal(_ name: String?) throws(APIError) -> Survival? {
    guard let name else { return nil }
    guard let goal = Survival(rawValue: name) else {
      throw APIError(.unprocessableContent, code: "invalid", "survive must be one of none, node, region")
    }
    return goal
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
    router.patch("accounts/:account") { request, context in
      let record = try access.account(.accounts, ownerToo: false, request, context)
      let wanted = try await body(Wishes.self, of: request, context)
      let goal = try Self.goal(wanted.survive)
      _ = try await node.changeAccount(named: record.name) { options in
        if let home = wanted.home { options.home = home }
        if let goal { options.survive = goal }
        if let residency = wanted.residency { options.residency = residency }
        if let timezone = wanted.timezone { options.timezone = timezone }
      }
      context.logger.info("account changed", metadata: ["account": "\(record.id)"])
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
