// `komora snapshot show --account A ID`

import ArgumentParser

struct SnapshotShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one snapshot.")

  @OptionGroup var account: AccountOption

  @Argument(help: "The snapshot's id.")
  var id: String

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let snapshot = try await APIClient.with(connection) { client in
      try await client.get("\(account.path)/snapshots/\(id.pathSegment)")
    }
    Show.object(snapshot, SnapshotCommand.members, json: connection.json)
  }
}
