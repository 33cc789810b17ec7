// `komora cluster invite --name NAME --region REGION`: a join token, which works once and for 15 minutes.

import ArgumentParser
import Foundation

struct ClusterInviteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "invite", abstract: "Make a join token for one new node; it works once and for 15 minutes.")

  @Option(help: "The new node's name, as its configuration has it.")
  var name: String

  @Option(help: "The new node's region, as its configuration has it.")
  var region: String

  @Flag(help: "Let the new node make certificates too, so that the cluster has more than one issuer.")
  var issuer = false

  @Option(
    name: .long, parsing: .singleValue,
    help: "A host that the node's certificates may name; default: the address that it comes from. May be repeated.")
  var host: [String] = []

  @Option(help: "Write the token there, readable by you only, instead of printing it.")
  var out: String?

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let body: JSONValue = .object([
      "name": .text(name), "region": .text(region), "issuer": .boolean(issuer),
      "hosts": .list(host.map { .text($0) }),
    ])
    let answer = try await APIClient.with(connection) { try await $0.post("/v1/cluster/invitations", body) }
    guard let token = answer["token"]?.text else {
      throw CommandFailure(.failed, "the node's answer has no token: it runs another release")
    }
    if let out { try PrivateFile.write(out, Array((token + "\n").utf8)) }
    if connection.json { return Terminal.line(answer.encoded(pretty: true)) }
    Terminal.line(out ?? token)
    Terminal.note(
      "For \(name) in \(region), once, until \(answer["expires_at"]?.text ?? "?"). On the new node: "
        + "komora cluster join --config FILE --token-file \(out ?? "FILE")")
  }
}
