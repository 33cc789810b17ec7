// `komora snapshot verify --account A [ID]`: reads back everything that it refers to.

import ArgumentParser

struct SnapshotVerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read a snapshot back whole and compare; the newest one when none is named.")

  @OptionGroup var account: AccountOption

  @Argument(help: "The snapshot's id.")
  var id: String?

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let result = try await APIClient.with(connection) { client in
      let path = id.map { "\(account.path)/snapshots/\($0.pathSegment)/verify" } ?? "\(account.path)/verify"
      let started = try await client.post(path, .object([:]))
      return try await client.wait(started, "verify", json: connection.json)["result"] ?? .null
    }
    if connection.json {
      Terminal.line(result.encoded(pretty: false))
    } else {
      Show.object(result, [("snapshot", "snapshot"), ("chunks", "chunks"), ("read", "bytes")], json: false)
      Terminal.line("whole")
    }
  }
}
