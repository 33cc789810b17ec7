// `komora cluster drain NODE`: it takes nothing new, and what it holds goes elsewhere.

import ArgumentParser

struct ClusterDrainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drain", abstract: "Let a node take nothing new, and show what of it can move and what cannot.")

  @Argument(help: "The node's name.")
  var node: String

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let answer = try await APIClient.with(connection) {
      try await $0.post("/v1/cluster/nodes/\(node.pathSegment)/drain", .object([:]))
    }
    if connection.json { return Terminal.line(answer.encoded(pretty: true)) }
    Terminal.line("\(node) is draining; it holds \(answer["accounts"]?.shown ?? "0") accounts.")
    for move in answer["moves"]?.list ?? [] { Terminal.line("  can move  \(move.shown)") }
    for stays in answer["stays"]?.list ?? [] { Terminal.line("  stays     \(stays.shown)") }
  }
}
