// `komora account show NAME`

import ArgumentParser

struct AccountShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one account.")

  @Argument(help: "The account's name.")
  var name: String

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let account = try await APIClient.with(connection) { try await $0.get("/v1/accounts/\(name.pathSegment)") }
    Show.object(account, AccountCommand.members, json: connection.json)
    AccountCommand.warnAboutSurvival(account, json: connection.json)
  }
}
