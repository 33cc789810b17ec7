// `komora cluster remove NODE`: out for ever. No node of the cluster takes its links and datagrams any more, and it ends.

import ArgumentParser

struct ClusterRemoveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Take a node out of the cluster for ever; drain it first.")

  @Argument(help: "The node's name.")
  var node: String

  @Flag(help: "Also when it holds accounts: they are lost, unless its disk or the archive has them.")
  var acceptLoss = false

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let answer = try await APIClient.with(connection) {
      try await $0.post(
        "/v1/cluster/nodes/\(node.pathSegment)/remove", .object(["accept_loss": .boolean(acceptLoss)]))
    }
    Terminal.line(
      connection.json
        ? answer.encoded(pretty: true)
        : "\(node) is removed. To use its machine again, join it with an empty data directory and new keys; its archive stays."
    )
  }
}
