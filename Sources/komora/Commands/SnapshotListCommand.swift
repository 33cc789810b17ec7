// `komora snapshot list --account A`

import ArgumentParser

struct SnapshotListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "list", abstract: "List snapshots, oldest first.")

  @OptionGroup var account: AccountOption
  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let answer = try await APIClient.with(connection) { try await $0.get("\(account.path)/snapshots") }
    if let silent = answer["silent"]?.list, !silent.isEmpty {
      Terminal.note("\(silent.map(\.shown).joined(separator: ", ")) does not answer: its archive is not shown")
    }
    for refusal in answer["refused"]?.list ?? [] {
      let (node, detail) = (refusal["node"]?.shown ?? "", refusal["detail"]?.shown ?? "")
      Terminal.note("\(node) does not list its archive: \(detail)")
    }
    Show.list(
      answer, under: "snapshots",
      [
        ("ID", "id"), ("CREATED", "created_at"), ("KIND", "kind"), ("SIZE", "bytes"), ("ADDED", "added_bytes"),
        ("STATE", "state"), ("NODE", "node"),
      ], json: connection.json)
  }
}
