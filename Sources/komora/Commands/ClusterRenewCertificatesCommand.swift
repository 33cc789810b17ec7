// `komora cluster renew-certificates`: new certificates for the asked node, now instead of after two thirds of their life.

import ArgumentParser

struct ClusterRenewCertificatesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "renew-certificates", abstract: "Give the asked node new certificates now; its links stay up.")

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    _ = try await APIClient.with(connection) { try await $0.post("/v1/cluster/renew-certificates", .object([:])) }
    if connection.json { return Terminal.line(JSONValue.object(["renewed": .boolean(true)]).encoded(pretty: true)) }
    Terminal.line("The node has new certificates. Its API serves the new one after its next start.")
  }
}
