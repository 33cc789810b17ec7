// One shard as one node sees it: the record of the control store, this node's vote, and whether it leads.

import Base
import Formats

struct OwnedShard: Sendable {
  /// As a voter.
  enum Vote: Sendable, Equatable {
    /// Adopted and durable: this epoch may be stored, acknowledged and granted for.
    case settled(Epoch)
    /// Grants nothing any more, and waits for the log, for the granted lease, for the disk.
    case adopting(Epoch, place: LogPlace?, isAsked: Bool)

    var epoch: Epoch {
      switch self {
      case .settled(let epoch), .adopting(let epoch, _, _): epoch
      }
    }
  }

  /// As its primary.
  enum Lead: Sendable, Equatable {
    case none
    /// Its first record is on its way.
    case starting(Epoch, since: Instant)
    case serving(Epoch)
    /// Takes no more writes: a hand-over.
    case ending(Epoch, to: NodeID, until: Instant)
    /// Never again in this epoch.
    case ended(Epoch)

    /// The epoch that it leads now.
    var epoch: Epoch? {
      switch self {
      case .starting(let epoch, _), .serving(let epoch), .ending(let epoch, _, _): epoch
      case .none, .ended: nil
      }
    }
  }

  struct ReportHeard: Sendable {
    var epoch: Epoch
    var place: LogPlace
    var hears: Bool
    var at: Instant
  }

  let account: AccountID
  var record: OwnershipRecord?
  var revision: Int64 = 0
  /// Since when this epoch and primary are known.
  var seenAt = Instant(nanoseconds: .min / 2)

  var vote = Vote.settled(0)
  var promise: OwnershipPromise
  /// On its way to the disk.
  var asked: OwnershipPromise?
  /// Has the log said, in this life, where it ends?
  var isExamined = false
  var isDamaged = false
  /// The greatest epoch that anybody spoke of: nothing older is led, or gone on with.
  var heardEpoch: Epoch = 0
  /// The epoch whose adoption was finished in this life: no other may be led.
  var adoptedInThisLife: Epoch = 0
  var place = LogPlace.start
  /// Holders whose claim was taken, with the epoch.
  var grants: [NodeID: Epoch] = [:]
  /// Until then a grant that was dropped may still be believed.
  var grantEnd = Instant(nanoseconds: .min / 2)

  var reports: [NodeID: ReportHeard] = [:]
  /// Since when reports of this epoch are enough.
  var promotableSince: Instant?
  /// What replicas once acknowledged: whoever reports less is damaged.
  var acknowledged: [NodeID: LogPlace] = [:]
  /// New epochs that this node asked for since it last heard a primary.
  var attempts = 0
  /// The current primary said itself that it does not lead.
  var isReleased = false

  var lead = Lead.none
  var helplessSince: Instant?
  /// The one request to the control store about this shard that is on its way.
  var request: UInt64?
  var retryAt = Instant(nanoseconds: .min / 2)

  init(account: AccountID) {
    self.account = account
    promise = OwnershipPromise(account: account, epoch: 0, floor: .start)
  }
}
