// Runs the tasks of sessions and collections on the simulation's one thread, when the simulation says so.

import Threads

final class StepExecutor: TaskExecutor {
  private let jobs = Lock<[UnownedJob]>([])

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    jobs.with { $0.append(job) }
  }

  /// Runs one job; false when there is none.
  func runOne() -> Bool {
    guard let job = jobs.with({ $0.isEmpty ? nil : $0.removeFirst() }) else { return false }
    job.runSynchronously(on: asUnownedTaskExecutor())
    return true
  }
}
