// Runs tasks on a loop's thread: `withTaskExecutorPreference`. A task that mostly waits for what the loop brings is then
// resumed where that arrives, and what it asks next leaves in the same turn. It must not block or compute for long.

package final class UVTaskExecutor: TaskExecutor {
  private let loop: UVLoop

  package init(_ loop: UVLoop) { self.loop = loop }

  package func enqueue(_ job: consuming ExecutorJob) { loop.enqueue(job, of: self) }
}
