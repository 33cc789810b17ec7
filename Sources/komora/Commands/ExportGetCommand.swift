// `komora export get --account A ID [--out PATH]`: goes on where an earlier one stopped.

import ArgumentParser

struct ExportGetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Fetch an export's file and check it.",
    discussion: """
      What has been fetched lies in PATH.part until all of it is there and its SHA-256 is right; the same command goes \
      on after an interruption. An export with parts comes as PATH.001, PATH.002 and so on.
      """)

  @OptionGroup var account: AccountOption

  @Argument(help: "The export's id.")
  var id: String

  @Option(help: "Where the file is written; the export's own name in this directory when not given.")
  var out: String?

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let result = try await APIClient.with(connection) { client -> JSONValue in
      let path = "\(account.path)/exports/\(id.pathSegment)"
      let export = try await client.get(path)
      guard export["state"]?.text == "done" else {
        throw CommandFailure(.unavailable, "the export is not finished: try again later")
      }
      guard let bytes = export["bytes"]?.integer, bytes > 0, let hash = export["sha256"]?.text,
        let name = export["file"]?.text, !name.contains("/")
      else { throw CommandFailure(.failed, "the node's answer is no export: check that --url names a Komora node") }
      let display = ProgressDisplay("get", json: connection.json)
      defer { display.finish() }
      let download = ExportDownload(
        client: client, path: "\(path)/content", bytes: bytes, hash: hash,
        partBytes: export["part_bytes"]?.integer, out: PrivateFile.absolute(out ?? name))
      return try await download.run { display.update($0, $1) }
    }
    if connection.json {
      Terminal.line(result.encoded(pretty: false))
    } else {
      Show.object(result, [("written to", "out"), ("size", "bytes"), ("sha256", "sha256")], json: false)
    }
  }
}
