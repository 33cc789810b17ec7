// `komora cluster recovery-kit (--recipient age1… | --passphrase-file F) --out FILE`

import ArgumentParser
import Foundation

struct ClusterRecoveryKitCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recovery-kit",
    abstract: "Write what a new node needs to become the cluster's issuer when the last one is lost.")

  @Option(help: "An age recipient (age1…) who can open the kit.")
  var recipient: String?

  @Option(help: "A file with the passphrase that opens it, or - for standard input.")
  var passphraseFile: String?

  @Option(help: "Where the kit is written; it must not exist.")
  var out: String

  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard (recipient == nil) != (passphraseFile == nil) else {
      throw ValidationError("Give either --recipient or --passphrase-file.")
    }
  }

  func run() async throws {
    guard !FileManager.default.fileExists(atPath: out) else {
      throw CommandFailure(.refused, "\(out) exists already: name another file with --out")
    }
    var body: [String: JSONValue] = [:]
    if let recipient { body["recipient"] = .text(recipient) }
    if let passphraseFile { body["passphrase"] = .text(try PrivateFile.readLine(passphraseFile)) }
    let bytes = try await APIClient.with(connection) { try await $0.bytes("/v1/cluster/recovery-kit", .object(body)) }
    try PrivateFile.write(out, bytes)
    if connection.json {
      Terminal.line(JSONValue.object(["out": .text(out), "bytes": .integer(Int64(bytes.count))]).encoded(pretty: true))
    } else {
      Terminal.line("\(out): whoever opens it can let nodes into the cluster; keep it offline.")
    }
  }
}
