// `komora export show --account A ID`

import ArgumentParser

struct ExportShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one export.")

  @OptionGroup var account: AccountOption

  @Argument(help: "The export's id.")
  var id: String

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let export = try await APIClient.with(connection) { client in
      try await client.get("\(account.path)/exports/\(id.pathSegment)")
    }
    Show.object(export, ExportCommand.members, json: connection.json)
  }
}
