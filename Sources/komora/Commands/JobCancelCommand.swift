// `komora job cancel ID`: ends a job and returns when nothing of its work goes on.

import ArgumentParser

struct JobCancelCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cancel", abstract: "End a job; what it had built beside is removed.")

  @Argument(help: "The job's id.")
  var id: String

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let job = try await APIClient.with(connection) { try await $0.delete("/v1/jobs/\(id.pathSegment)") }
    Show.object(job, JobCommand.members, json: connection.json)
  }
}
