// `komora key recovery --account A (--recipient age1… | --passphrase-file F) --out FILE`

import ArgumentParser
import Foundation

struct KeyRecoveryCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "recovery",
    abstract: "Write an account's recovery file: with it and the archive's files the account comes back without a node."
  )

  @OptionGroup var account: AccountOption

  @Option(help: "An age recipient (age1…) who can open the file.")
  var recipient: String?

  @Option(help: "A file with the passphrase that opens it, or - for standard input.")
  var passphraseFile: String?

  @Option(help: "Where the file is written; it must not exist.")
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
    let bytes = try await APIClient.with(connection) { client in
      try await client.bytes("\(account.path)/recovery", .object(body))
    }
    try PrivateFile.write(out, bytes)
    if connection.json {
      Terminal.line(JSONValue.object(["out": .text(out), "bytes": .integer(Int64(bytes.count))]).encoded(pretty: true))
    } else {
      Terminal.line("\(out): keep it away from the archive; whoever has both can read the account.")
    }
  }
}
