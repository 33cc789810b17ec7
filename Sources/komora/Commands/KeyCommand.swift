// `komora key …`: an account's API keys and its recovery file.

import ArgumentParser

struct KeyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key", abstract: "Make, list and revoke an account's API keys; make its recovery file.",
    subcommands: [KeyCreateCommand.self, KeyListCommand.self, KeyRevokeCommand.self, KeyRecoveryCommand.self])
}

/// The account that a command is about.
struct AccountOption: ParsableArguments {
  @Option(help: "The account's name.")
  var account: String

  var path: String { "/v1/accounts/\(account.pathSegment)" }
}
