// `komora export create --account A`: waits until the export is whole, or gives its id at once with --no-wait.

import ArgumentParser
import Node

struct ExportCreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Export an account as it is now.",
    discussion: """
      komora export create --account A --recipient age1… --from 2026-01-01T00:00:00Z --to 2026-02-01T00:00:00Z
      Without --recipient what `komora export get` writes is not encrypted. On the node it lies sealed in any case.
      """)

  @OptionGroup var account: AccountOption

  @Option(
    help: "Only recordings made at this time or later, such as 2026-01-31T12:00:00Z; the database is always whole.")
  var from: String?

  @Option(help: "Only recordings made before this time.")
  var to: String?

  @Option(help: "An age recipient (age1…) who can open the file; may be given several times.")
  var recipient: [String] = []

  @Flag(help: "Leave out the recordings that the newest export and those before it hold.")
  var sinceLast = false

  @Option(help: "original, or flac: plain WAV files as FLAC, which `flac -d` turns back into the same bytes.")
  var audio = "original"

  @Option(help: "Have `get` cut the file into parts of this size, such as 4GiB; `cat` joins them.")
  var partBytes: String?

  @Flag(help: "Do not wait; print the id at once.")
  var noWait = false

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    var body: [String: JSONValue] = [
      "recipients": .list(recipient.map { .text($0) }), "since_last": .boolean(sinceLast),
    ]
    body["audio"] = .text(audio)
    if let from { body["from"] = .text(from) }
    if let to { body["to"] = .text(to) }
    if let partBytes {
      guard let bytes = Quantity.size(partBytes) ?? Int(partBytes) else {
        throw CommandFailure(.usage, "--part-bytes wants a size such as 4GiB")
      }
      body["part_bytes"] = .integer(Int64(bytes))
    }
    let request = JSONValue.object(body)
    let result = try await APIClient.with(connection) { client -> JSONValue in
      let started = try await client.post("\(account.path)/exports", request)
      guard let id = started["result"]?["export"]?.text else {
        throw CommandFailure(.failed, "the node named no export: check that node and command have the same version")
      }
      if noWait {
        return .object([
          "id": .text(id), "state": started["state"] ?? .null, "job": started["id"] ?? .null,
        ])
      }
      _ = try await client.wait(started, "export", json: connection.json)
      return try await client.get("\(account.path)/exports/\(id.pathSegment)")
    }
    if connection.json {
      Terminal.line(result.encoded(pretty: false))
    } else {
      Show.object(result, ExportCommand.members, json: false)
    }
  }
}
