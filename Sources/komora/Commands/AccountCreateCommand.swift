// `komora account create NAME`

import ArgumentParser

struct AccountCreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "create", abstract: "Make an account.")

  @Argument(help: "3 to 63 lower-case letters, digits and hyphens.")
  var name: String

  @OptionGroup var wish: AccountWishOptions
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    var body = wish.body
    body["name"] = .text(name)
    let account = try await APIClient.with(connection) { [body] in try await $0.post("/v1/accounts", .object(body)) }
    Show.object(account, AccountCommand.members, json: connection.json)
    AccountCommand.warnAboutSurvival(account, json: connection.json)
  }
}
