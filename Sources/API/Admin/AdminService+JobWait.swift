// `GET /v1/jobs/{id}?wait_ms=200`: answers when the job has ended, or after that time, so that who waits for a job hears of its
// end at once without asking all the time.

import HTTPTypes
import Hummingbird
import Node

extension AdminService {
  private static let waitMillisecondsMax = 10_000
  /// Looks cost next to nothing. A stream of events would wake for each of some thousand reports of progress a second.
  private static let look = Duration.milliseconds(5)

  /// The job, at the end of the wait that the request asks for.
  func waited(_ request: Request, _ context: APIContext) async throws -> JobStatus {
    let status = try job(request, context)
    guard let text = request.uri.queryParameters["wait_ms"] else { return status }
    guard let wait = Int(text), (0...Self.waitMillisecondsMax).contains(wait) else {
      throw APIError(
        .badRequest, code: "invalid", "wait_ms is a number from 0 to \(Self.waitMillisecondsMax)")
    }
    let end = ContinuousClock.now + .milliseconds(wait)
    while ContinuousClock.now < end, node.job(status.id)?.state.isFinal == false {
      try await Task.sleep(for: Self.look)
    }
    return try job(request, context)
  }
}
