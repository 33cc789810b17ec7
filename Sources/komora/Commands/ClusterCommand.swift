// `komora cluster …`: founding a cluster, letting nodes in and out, and seeing how it is.

import ArgumentParser
import Foundation
import Node

struct ClusterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cluster", abstract: "Found a cluster, let nodes in and out, and see how it is.",
    subcommands: [
      ClusterInitCommand.self, ClusterInviteCommand.self, ClusterJoinCommand.self, ClusterStatusCommand.self,
      ClusterDrainCommand.self, ClusterUndrainCommand.self, ClusterRemoveCommand.self, ClusterWhatIfCommand.self,
      ClusterClientCommand.self, ClusterRotateKeysCommand.self, ClusterRenewCertificatesCommand.self,
      ClusterRecoveryKitCommand.self,
    ])
}

/// The configuration of the node on this machine.
struct LocalNodeOptions: ParsableArguments {
  @Option(help: "The node's TOML file.")
  var config: String

  @Flag(help: "Print JSON.")
  var json = false

  func load() throws(CommandFailure) -> NodeConfiguration {
    do throws(ConfigurationError) {
      return try NodeConfiguration.load(file: config, environment: ProcessInfo.processInfo.environment)
    } catch {
      throw CommandFailure(.usage, error.description)
    }
  }
}

extension CommandFailure {
  init(_ error: NodeError) {
    let kind: Kind =
      switch error.code {
      case .notFound: .notFound
      case .exists, .refused: .refused
      case .invalid: .usage
      case .unavailable, .elsewhere: .unavailable
      case .io: .failed
      }
    self.init(kind, error.message)
  }
}

extension ClusterSetup.Report {
  var json: JSONValue {
    .object([
      "cluster": .text(cluster), "node_id": .text("\(nodeID)"), "fabric": .text(fabric), "url": .text(url),
      "ca": .text(authorityPath), "control_endpoints": .list(controlEndpoints.map { .text($0) }),
      "control_managed": .boolean(isManaged), "changed": .boolean(isNew),
    ])
  }
}
