// `komora account list`

import ArgumentParser

struct AccountListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List accounts.")

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let answer = try await APIClient.with(connection) { try await $0.get("/v1/accounts") }
    Show.list(
      answer, under: "accounts",
      [
        ("NAME", "name"), ("STATE", "state"), ("SURVIVES", "survives"), ("HOME", "home"), ("TIME ZONE", "timezone"),
        ("CREATED", "created_at"), ("ID", "id"),
      ], json: connection.json)
  }
}
