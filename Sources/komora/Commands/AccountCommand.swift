// `komora account …`: what the node keeps.

import ArgumentParser

struct AccountCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "account", abstract: "Make, list, show, change and delete accounts.",
    subcommands: [
      AccountCreateCommand.self, AccountListCommand.self, AccountShowCommand.self, AccountSetCommand.self,
      AccountDeleteCommand.self,
    ])

  static let members: [(title: String, name: String)] = [
    ("name", "name"), ("id", "id"), ("state", "state"), ("survives", "survives"), ("goal", "survive_goal"),
    ("home", "home"), ("residency", "residency"), ("time zone", "timezone"), ("created", "created_at"),
    ("primary", "primary"), ("standbys", "standbys"), ("position", "position"),
  ]

  /// Said wherever an account is shown whose writes lie on one disk only.
  static func warnAboutSurvival(_ account: JSONValue, json: Bool) {
    guard account["survives"]?.text == "none", !json else { return }
    Terminal.note(
      "Note: survives none. The account lies on one node: what was written since the last snapshot is lost with its disk."
    )
  }
}
