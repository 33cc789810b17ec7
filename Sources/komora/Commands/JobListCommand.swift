// `komora job list`: the jobs of the node that answers, oldest first.

import ArgumentParser

struct JobListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the jobs of the node that answers, those that ended lately too.")

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let reply = try await APIClient.with(connection) { try await $0.get("/v1/jobs") }
    Show.list(
      reply, under: "jobs",
      [
        ("ID", "id"), ("KIND", "kind"), ("ACCOUNT", "account"), ("STATE", "state"), ("PROGRESS", "progress"),
        ("CREATED", "created_at"),
      ], json: connection.json)
  }
}
