// `komora export list --account A`

import ArgumentParser

struct ExportListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List exports, oldest first, those that run too.")

  @OptionGroup var account: AccountOption
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let answer = try await APIClient.with(connection) { try await $0.get("\(account.path)/exports") }
    if let silent = answer["silent"]?.list, !silent.isEmpty {
      Terminal.note("\(silent.map(\.shown).joined(separator: ", ")) does not answer: its exports are not shown")
    }
    Show.list(
      answer, under: "exports",
      [
        ("ID", "id"), ("CREATED", "created_at"), ("STATE", "state"), ("SIZE", "bytes"), ("RECORDINGS", "recordings"),
        ("NODE", "node"),
      ], json: connection.json)
  }
}
