// `komora account set NAME`: other wishes for an account, later and without a stop.

import ArgumentParser

struct AccountSetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "set",
    abstract: "Change what an account is to survive, where it is at home, and where its data may lie.",
    discussion: "The change is a wish: the cluster moves replicas one after the other, while the account is used.")

  @Argument(help: "The account's name.")
  var name: String

  @OptionGroup var wish: AccountWishOptions
  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard !wish.body.isEmpty else {
      throw ValidationError("Give --home, --survive, --residency or --timezone.")
    }
  }

  func run() async throws {
    let body = wish.body
    let account = try await APIClient.with(connection) {
      try await $0.patch("/v1/accounts/\(name.pathSegment)", .object(body))
    }
    Show.object(account, AccountCommand.members, json: connection.json)
    AccountCommand.warnAboutSurvival(account, json: connection.json)
  }
}
