// `komora cluster init --config FILE`: this node becomes the first one of a cluster. Its data stay as they are; what it
// keeps in its control store moves at its next start, and goes on moving where an interruption left it.

import ArgumentParser
import AtRest
import Formats
import Foundation
import Node
import OpenSSL

struct ClusterInitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "init", abstract: "Make a cluster of this node, or its issuer again from a recovery kit.",
    discussion: """
      Makes the cluster's authorities, keys and certificates. The node's configuration says [control] engine = "etcd" \
      with managed = true, or with the endpoints of an etcd of yours. The node may be running: restart it afterwards. \
      It can be run again after any interruption; what is there already stays.
      """)

  @OptionGroup var node: LocalNodeOptions

  @Option(help: "A recovery kit (`komora cluster recovery-kit`): become the issuer of that cluster.")
  var kit: String?

  @Option(help: "A file with the age identity that opens the kit.")
  var identity: String?

  @Option(help: "A file with the passphrase that opens the kit, or - for standard input.")
  var passphraseFile: String?

  func validate() throws {
    guard kit == nil ? identity == nil && passphraseFile == nil : (identity == nil) != (passphraseFile == nil) else {
      throw ValidationError("Give --kit together with either --identity or --passphrase-file.")
    }
  }

  func run() async throws {
    let configuration = try node.load()
    let report: ClusterSetup.Report
    do throws(NodeError) {
      if let kit {
        report = try await ClusterSetup.recover(configuration, kit: try open(kit))
      } else {
        report = try await ClusterSetup.found(configuration)
      }
    } catch {
      throw CommandFailure(error)
    }
    if node.json { return Terminal.line(report.json.encoded(pretty: true)) }
    Terminal.line(
      "The node \(configuration.name) is \(report.isNew ? "now" : "already") of the cluster \(report.cluster).")
    Terminal.line("CA for clients  \(report.authorityPath)")
    Terminal.line("Next:")
    if report.isManaged, kit == nil {
      Terminal.line("  start etcd:   systemctl enable --now komora-etcd.path")
    }
    Terminal.line("  start the node again:  systemctl restart komora")
    Terminal.line("  let others in:  komora cluster invite --name NAME --region REGION")
  }

  private func open(_ path: String) throws(NodeError) -> ClusterContents {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw NodeError(.notFound, "cannot read \(path): give the cluster's recovery kit")
    }
    do {
      let plain: [UInt8]
      if let identity {
        plain = try Age.decrypt(Array(data), identities: Age.identities(in: try PrivateFile.readText(identity)))
      } else {
        let passphrase = try PrivateFile.readLine(passphraseFile ?? "-")
        plain = try Age.decrypt(Array(data), passphrase: SecretBytes(Array(passphrase.utf8)))
      }
      return try ClusterContents(plain)
    } catch let failure as CommandFailure {
      throw NodeError(.invalid, failure.message)
    } catch {
      throw NodeError(.refused, "\(path) does not open: \(error)")
    }
  }
}
