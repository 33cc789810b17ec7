// `komora import --account A [--database FILE] [--recordings DIR]`

import ArgumentParser
import Foundation
import Threads

struct ImportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract:
      "Load a SQLite file and a tree of recordings into an account; run it again and it goes on where it stopped.")

  @OptionGroup var account: AccountOption

  @Option(help: "A SQLite database file; it is opened for reading only, in a process of its own.")
  var database: String?

  @Option(help: "A directory of recordings; their paths below it become their keys.")
  var recordings: String?

  @Option(help: "A table or other object of the database that is left out; may be repeated.")
  var skip: [String] = []

  @Option(
    name: .customLong("s3-url"), help: "The S3 port's address; default: the profile's, else the API's port plus one.")
  var s3URL: String?

  @OptionGroup var connection: ConnectionOptions

  func validate() throws {
    guard database != nil || recordings != nil else {
      throw ValidationError("Give --database, --recordings, or both.")
    }
  }

  func run() async throws {
    let database = database.map { URL(fileURLWithPath: $0).standardizedFileURL.path }
    let tree = try recordings.map { path throws(CommandFailure) in try RecordingTree(path) }
    if let database, !FileManager.default.isReadableFile(atPath: database) {
      throw CommandFailure(.notFound, "cannot read \(database): give the path of a SQLite file")
    }
    let result = try await APIClient.with(connection) { client in
      let session = try await ImportSession.begin(client, account: account, source: database ?? recordings ?? "")
      do {
        let progress = ImportProgress(json: connection.json, parts: (database == nil ? 0 : 1) + (tree == nil ? 0 : 1))
        defer { progress.finish() }
        // Side by side: rows wait for each other on the way, recordings take the processors meanwhile.
        async let rows = load(database, client, session, progress)
        async let files = load(tree, client, session, progress)
        let result: [String: JSONValue] = try await rows.merging(files) { $1 }
          .merging(["account": .text(account.account)]) { $1 }
        try await session.end(client, account: account)
        return JSONValue.object(result)
      } catch {
        // The state stays, so that the next run goes on; its key does not.
        await session.abandon(client, account: account, after: error)
        throw error
      }
    }
    show(result)
  }

  private func load(
    _ database: String?, _ client: APIClient, _ session: ImportSession, _ progress: ImportProgress
  ) async throws -> [String: JSONValue] {
    guard let database else { return [:] }
    let child = try DatabaseChild(path: database, skipping: skip)
    defer { child.end() }
    let hrana = HranaClient(
      exchange: client.exchange, nodes: NodeAddresses(client.settings.urls), path: "/db/\(account.account.pathSegment)",
      token: session.token)
    var work = DatabaseImport(client: hrana, state: session.state, statePath: session.statePath) {
      progress.update("database", $0, $1)
    }
    let counts = try await work.run(child)
    return [
      "tables": .integer(Int64(counts.tables)), "rows": .integer(counts.rows),
      "notes": .list(counts.notes.map { .text($0) }),
    ]
  }

  private func load(
    _ tree: RecordingTree?, _ client: APIClient, _ session: ImportSession, _ progress: ImportProgress
  ) async throws -> [String: JSONValue] {
    guard let tree else { return [:] }
    let files = WorkPool(name: "files", threads: RecordingsImport.readers)
    let s3 = S3Client(
      exchange: client.exchange, nodes: NodeAddresses(try s3Addresses(client.settings)), bucket: account.account,
      accessKey: session.accessKey, secretKey: session.secretKey, files: files)
    let counts = try await RecordingsImport(client: s3, files: files) {
      progress.update("recordings", $0, $1)
    }.run(tree)
    for note in tree.notes { Terminal.note("left out: \(note)") }
    return [
      "files_sent": .integer(Int64(counts.sent)), "sent_bytes": .integer(counts.sentBytes),
      "files_present": .integer(Int64(counts.present)), "files_left_out": .integer(Int64(tree.notes.count)),
    ]
  }

  private func s3Addresses(_ settings: ConnectionSettings) throws(CommandFailure) -> [String] {
    if let address = s3URL { return [address] }
    if let address = settings.s3URL { return [address] + settings.s3URLs.filter { $0 != address } }
    guard var parts = URLComponents(string: settings.urls[0]), let port = parts.port else {
      throw CommandFailure(.usage, "the S3 port's address is unknown: give --s3-url")
    }
    parts.port = port + 1
    return [parts.string ?? settings.urls[0]]
  }

  private func show(_ result: JSONValue) {
    guard !connection.json else { return Terminal.line(result.encoded(pretty: false)) }
    for note in result["notes"]?.list ?? [] { Terminal.note("note: \(note.shown)") }
    Show.object(
      result,
      [
        ("tables", "tables"), ("rows", "rows"), ("files sent", "files_sent"), ("of them", "sent_bytes"),
        ("already there", "files_present"), ("left out", "files_left_out"),
      ], json: false)
  }
}
