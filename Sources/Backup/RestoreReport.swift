// What a restore did.

public import Base

public struct RestoreReport: Sendable, Equatable {
  public var plan: RestorePlan
  /// The account that is there now.
  public var account: AccountID
  /// Recordings that did not come back because their keys were destroyed.
  public var erased: [RecordingID]
  /// It went on where an earlier run had been killed.
  public var isResumed = false
  /// Chunks that were read from the archive's packs.
  public var chunksRead = 0
  /// Recordings whose chunks a proof vouched for, so that they were opened and not decoded.
  public var carried = 0

  public init(plan: RestorePlan, account: AccountID, erased: [RecordingID]) {
    self.plan = plan
    self.account = account
    self.erased = erased
  }
}
