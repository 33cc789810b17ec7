// Errors that the simulation can tell the machine to make, so that its checkers prove that they would find them. Empty
// in every product; no checker can see them.

package struct OwnershipBugs: OptionSet, Sendable {
  package let rawValue: Int
  package init(rawValue: Int) { self.rawValue = rawValue }
  /// A voter reports while the lease that it granted still runs.
  package static let adoptEarly = OwnershipBugs(rawValue: 1)
  /// A voter acts on an adopted epoch before its disk has it.
  package static let useBeforePersisted = OwnershipBugs(rawValue: 2)
  /// A restarted voter does not read what it promised.
  package static let forgetPromise = OwnershipBugs(rawValue: 4)
  /// A primary reads without asking for its leases.
  package static let dropLeaseCheck = OwnershipBugs(rawValue: 8)
  /// An older record that a watch brings late replaces a newer one.
  package static let trustLateWatch = OwnershipBugs(rawValue: 16)
  /// A restarted primary goes on in its epoch.
  package static let continueEpoch = OwnershipBugs(rawValue: 32)
  /// A new primary serves before a record of its own epoch is committed.
  package static let skipOwnRecord = OwnershipBugs(rawValue: 64)
  /// Any one reporter is enough to name a primary.
  package static let promoteWithTooFew = OwnershipBugs(rawValue: 128)
  /// While voters change only the new ones count.
  package static let ignorePrevious = OwnershipBugs(rawValue: 256)
  /// A restarted voter grants and adopts at once.
  package static let skipRestartWait = OwnershipBugs(rawValue: 512)
  /// A holder counts its lease from the answer, not from the question.
  package static let leaseFromReceipt = OwnershipBugs(rawValue: 1024)
  /// A voter whose log lost records votes as if nothing had happened.
  package static let ignoreDamage = OwnershipBugs(rawValue: 2048)
  /// A hand-over whose outcome is unknown is taken for failed.
  package static let resumeAfterUnknown = OwnershipBugs(rawValue: 4096)
  /// Ended grants are told once, not until they are confirmed.
  package static let tellEndedOnce = OwnershipBugs(rawValue: 8192)
  /// The longest log wins, not the newest.
  package static let longestNotNewest = OwnershipBugs(rawValue: 16384)
}
