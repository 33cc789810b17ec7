// Waits for a job, shows how far it is, and gives its result or its failure.

import Foundation

extension APIClient {
  /// How old the progress that is shown may be. The end of the job ends the wait.
  private static let jobWaitMilliseconds = 200

  /// `started` is what the node answered to the request that made the job.
  /// Of a job that fails, the lines under `member` are shown before.
  func wait(_ started: JSONValue, _ title: String, json: Bool, showing member: String? = nil) async throws -> JSONValue
  {
    guard let id = started["id"]?.text ?? started["job"]?.text else {
      throw CommandFailure(.failed, "the node named no job: check that node and command have the same version")
    }
    let display = ProgressDisplay(title, json: json)
    defer { display.finish() }
    while true {
      let began = ContinuousClock.now
      let job = try await get("/v1/jobs/\(id.pathSegment)?wait_ms=\(Self.jobWaitMilliseconds)")
      display.update(job["progress"]?.double ?? 0, job["message"]?.text ?? "")
      switch job["state"]?.text {
      case "done": return job
      case "failed":
        let lines = member.flatMap { job[$0]?.list } ?? []
        if json, !lines.isEmpty { Terminal.line(job.encoded(pretty: false)) }
        if !json { for line in lines { Terminal.line(SnapshotVerifyCommand.line(line)) } }
        throw Self.failure(job)
      case "cancelled": throw CommandFailure(.refused, "the job was cancelled; nothing of what it made beside is left")
      // A node that does not know the wait answers at once.
      default: try await Task.sleep(until: began + .milliseconds(Self.jobWaitMilliseconds))
      }
    }
  }

  private static func failure(_ job: JSONValue) -> CommandFailure {
    let problem = job["error"] ?? job["problem"] ?? .null
    let text = problem["detail"]?.text ?? problem["message"]?.text ?? job["message"]?.text ?? "the job failed"
    if let status = problem["status"]?.integer { return CommandFailure(CommandFailure.kind(status: Int(status)), text) }
    let kinds: [String: CommandFailure.Kind] = [
      "notFound": .notFound, "exists": .refused, "refused": .refused, "invalid": .usage, "unavailable": .unavailable,
    ]
    return CommandFailure(kinds[problem["code"]?.text ?? ""] ?? .failed, text)
  }
}
