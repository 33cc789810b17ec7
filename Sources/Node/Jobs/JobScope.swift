// What the work of a job is told beside its orders: whether it is still wanted, and what to leave for whoever goes on with
// it after a restart. It reaches the layers between by way of the task.

package import Backup

package struct JobScope: Sendable {
  package var cancel = CancelFlag()
  /// Kept with a restore's progress.
  package var note: [UInt8] = []

  @TaskLocal package static var current = JobScope()
}
