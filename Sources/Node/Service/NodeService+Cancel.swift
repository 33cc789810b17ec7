// Jobs that are not wanted any more.

import Base

extension NodeService {
  /// Returns when the job has ended: `cancelled`, or as it did when it was over before. `.notFound` for an unknown one,
  /// `.refused` for one that had ended.
  package func cancelJob(_ id: JobID) async throws(NodeError) -> JobStatus {
    guard let job = jobs.status(id) else { throw NodeError(.notFound, "there is no such job: see `komora job list`") }
    guard !job.state.isFinal else {
      throw NodeError(.refused, "the job has ended already (\(job.state.rawValue)): there is nothing to cancel")
    }
    await jobs.cancel(id, NodeError(.refused, "the job was cancelled"))
    return jobs.status(id) ?? job
  }
}
