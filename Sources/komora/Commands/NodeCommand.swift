// `komora node …`

import ArgumentParser

struct NodeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node", abstract: "Run a node, and look at its configuration.",
    subcommands: [NodeRunCommand.self, NodeOptionsCommand.self])
}
