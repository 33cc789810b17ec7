// `komora export cancel --account A ID`

import ArgumentParser

struct ExportCancelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "End an export that runs, or remove one that is finished.")

  @OptionGroup var account: AccountOption

  @Argument(help: "The export's id.")
  var id: String

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    _ = try await APIClient.with(connection) { client in
      try await client.delete("\(account.path)/exports/\(id.pathSegment)")
    }
    if connection.json {
      Terminal.line(JSONValue.object(["id": .text(id), "removed": .boolean(true)]).encoded(pretty: false))
    } else {
      Terminal.line("\(id): removed")
    }
  }
}
