// `komora job show ID [--wait]`

import ArgumentParser

struct JobShowCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one job, or wait for its end.")

  @Argument(help: "The job's id.")
  var id: String

  @Flag(help: "Wait until it has ended, with a progress bar.")
  var wait = false

  @OptionGroup var connection: ConnectionOptions

  func run() async throws {
    let job = try await APIClient.with(connection) { client in
      let job = try await client.get("/v1/jobs/\(id.pathSegment)")
      return wait ? try await client.wait(job, job["kind"]?.text ?? "job", json: connection.json) : job
    }
    Show.object(job, JobCommand.members, json: connection.json)
  }
}
