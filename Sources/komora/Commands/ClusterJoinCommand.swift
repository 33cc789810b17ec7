// `komora cluster join --config FILE --token-file FILE`: this node asks to be let in. It makes its own keys; the cluster
// signs them, and nothing secret of this node leaves it.

import ArgumentParser
import Foundation
import Node

struct ClusterJoinCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "join", abstract: "Join a cluster with a join token; then start the node.")

  @OptionGroup var node: LocalNodeOptions

  @Option(help: "The join token; it shows in the process list, so prefer --token-file.")
  var token: String?

  @Option(help: "A file with the join token, or - for standard input.")
  var tokenFile: String?

  func validate() throws {
    guard (token == nil) != (tokenFile == nil) else { throw ValidationError("Give either --token-file or --token.") }
  }

  func run() async throws {
    let configuration = try node.load()
    let text = try token ?? PrivateFile.readLine(tokenFile ?? "-")
    let report: ClusterSetup.Report
    do throws(NodeError) {
      report = try await ClusterSetup.join(configuration, with: Invitation(text: text))
    } catch {
      throw CommandFailure(error)
    }
    if node.json { return Terminal.line(report.json.encoded(pretty: true)) }
    Terminal.line(
      "The node \(configuration.name) is \(report.isNew ? "now" : "already") of the cluster \(report.cluster).")
    Terminal.line("CA for clients  \(report.authorityPath)")
    Terminal.line("Next:\n  start the node:  systemctl enable --now komora-etcd.path komora")
  }
}
