// A long piece of work that somebody asked for and may watch.

package import Backup
package import Base
package import ShardStore

package struct JobID: OpaqueID {
  package let bits: UInt128
  package init(bits: UInt128) { self.bits = bits }
}

package enum JobKind: String, Sendable {
  case snapshot, restore, verify, diff, export, merge
}

package enum JobState: String, Sendable {
  /// Others run first.
  case waiting
  case running, done, failed
  /// Somebody ended it; what it had built beside is gone.
  case cancelled
  package var isFinal: Bool { self == .done || self == .failed || self == .cancelled }
}

package struct JobStatus: Sendable, Equatable {
  package var id: JobID
  package var kind: JobKind
  /// Name of the account that it is about.
  package var account: String
  package var state: JobState
  /// From 0 to 1; never falls.
  package var progress: Double
  package var message: String
  /// What its starter knew of it, until it has ended well.
  package var result: [String: String]
  /// What a comparison found; names the account's data.
  package var diff: DiffReport?
  /// What a merge did, or would not do; names the account's data too.
  package var merge: MergeReport?
  /// What a verification found; names files of the archive.
  package var findings: [VerifyFinding] = []
  /// Why it failed.
  package var failure: NodeError?
  package var createdAt: UnixMicroseconds
  package var finishedAt: UnixMicroseconds?

  /// For whoever may see the job and not the account's data.
  package var withoutData: JobStatus {
    var status = self
    status.diff = nil
    status.merge = nil
    return status
  }
}
