// `komora cluster rotate-keys`: a new key for the datagrams between nodes. No peer is lost on the way.

import ArgumentParser

struct ClusterRotateKeysCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate-keys", abstract: "Replace the key of the datagrams between nodes, step by step.")

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    _ = try await APIClient.with(connection) { try await $0.post("/v1/cluster/rotate-keys", .object([:])) }
    if connection.json { return Terminal.line(JSONValue.object(["wanted": .boolean(true)]).encoded(pretty: true)) }
    Terminal.line("The caretaker replaces the key; `komora cluster status --json` shows how far each node is.")
  }
}
