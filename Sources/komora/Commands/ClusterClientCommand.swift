// `komora cluster client --out DIR`: what a program with the library KomoraClient needs besides its token.

import ArgumentParser
import Foundation

struct ClusterClientCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "client",
    abstract: "Write a certificate for programs that use KomoraClient; it opens no account by itself.")

  @Option(help: "The directory for authority.pem, client.pem, client.key and nodes.")
  var out: String

  @Option(help: "Days until it ends, 1 to 366.")
  var days = 90

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let answer = try await APIClient.with(connection) {
      try await $0.post("/v1/cluster/clients", .object(["days": .integer(Int64(days))]))
    }
    guard let authority = answer["authority"]?.text, let certificate = answer["certificate"]?.text,
      let key = answer["key"]?.text, let nodes = answer["nodes"]?.list?.compactMap(\.text)
    else { throw CommandFailure(.failed, "the node's answer has no certificate: it runs another release") }
    let lines = nodes.map { $0 + "\n" }.joined()
    for (name, text) in [
      ("authority.pem", authority), ("client.pem", certificate), ("client.key", key), ("nodes", lines),
    ] { try PrivateFile.write(out + "/" + name, Array(text.utf8)) }
    if connection.json {
      let files: JSONValue = .object(["directory": .text(out), "nodes": .list(nodes.map { .text($0) })])
      return Terminal.line(files.encoded(pretty: true))
    }
    Terminal.line(out)
    Terminal.note("For \(days) days, readable by you only. A program also needs a token: `komora key create`.")
  }
}
