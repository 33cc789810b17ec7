// `komora key list --account A`

import ArgumentParser

struct KeyListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List an account's keys.")

  @OptionGroup var account: AccountOption
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let answer = try await APIClient.with(connection) { try await $0.get("\(account.path)/keys") }
    Show.list(
      answer, under: "keys", [("ACCESS KEY", "access_key"), ("CREATED", "created_at"), ("LABEL", "label")],
      json: connection.json)
  }
}
