// A file that is sealed for an age recipient or under a passphrase: who can open it, and where it is written.

import ArgumentParser
import Foundation

struct SealedFileOptions: ParsableArguments {
  @Option(help: "An age recipient (age1…) who can open the file.")
  var recipient: String?

  @Option(help: "A file with the passphrase that opens it, or - for standard input.")
  var passphraseFile: String?

  @Option(help: "Where the file is written; it must not exist.")
  var out: String

  func validate() throws {
    guard (recipient == nil) != (passphraseFile == nil) else {
      throw ValidationError("Give either --recipient or --passphrase-file.")
    }
  }

  /// Asks the node at `path` for the sealed bytes, writes them, and says `advice` about them.
  func write(from path: String, _ connection: ConnectionOptions, advice: String) async throws {
    guard !FileManager.default.fileExists(atPath: out) else {
      throw CommandFailure(.refused, "\(out) exists already: name another file with --out")
    }
    var body: [String: JSONValue] = [:]
    if let recipient { body["recipient"] = .text(recipient) }
    if let passphraseFile { body["passphrase"] = .text(try PrivateFile.readLine(passphraseFile)) }
    let bytes = try await APIClient.with(connection) { try await $0.bytes(path, .object(body)) }
    try PrivateFile.write(out, bytes)
    if connection.json {
      Terminal.line(JSONValue.object(["out": .text(out), "bytes": .integer(Int64(bytes.count))]).encoded(pretty: true))
    } else {
      Terminal.line("\(out): \(advice)")
    }
  }
}
