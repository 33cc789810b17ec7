// `komora cluster undrain NODE`: it takes accounts again.

import ArgumentParser

struct ClusterUndrainCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "undrain", abstract: "Let a node take accounts again.")

  @Argument(help: "The node's name.")
  var node: String

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let answer = try await APIClient.with(connection) {
      try await $0.post("/v1/cluster/nodes/\(node.pathSegment)/undrain", .object([:]))
    }
    Terminal.line(connection.json ? answer.encoded(pretty: true) : "\(node) takes accounts again.")
  }
}
