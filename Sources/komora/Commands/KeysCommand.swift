// `komora keys …`: the node's own key-encryption key.

import ArgumentParser

struct KeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "The key-encryption key of a node.", subcommands: [KeysRotateCommand.self])
}
