// `komora node options`: every key of a node's configuration, with its default and its environment variable.

import ArgumentParser
import Node

struct NodeOptionsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "options", abstract: "List every key of a node's configuration.")

  @Flag(help: "Print JSON instead of a table.")
  var json = false

  func run() {
    let keys = ConfigurationSchema.keys
    guard !json else {
      let list = keys.map { key -> JSONValue in
        .object([
          "key": .text(key.path), "variable": .text(key.variable), "default": key.standard.map { .text($0) } ?? .null,
          "help": .text(key.help),
        ])
      }
      return Terminal.line(JSONValue.list(list).encoded(pretty: true))
    }
    let rows = keys.map { [$0.path, $0.standard.map { $0.isEmpty ? "-" : $0 } ?? "-", $0.variable, $0.help] }
    Terminal.line(Terminal.table(["KEY", "DEFAULT", "VARIABLE", "WHAT FOR"], rows))
  }
}
