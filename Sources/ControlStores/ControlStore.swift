// The port of the control plane: what a cluster must agree on, and nothing that a write or a read of data waits for.
//
// The words and their meaning are etcd's (https://etcd.io/docs/v3.4/learning/api/): one revision for the whole store,
// transactions that compare and then change, watches that miss nothing from a revision on, leases that take their keys
// along. Strictly serializable, or an error.

/// A place in the store's history: the number of transactions up to it.
package typealias ControlRevision = Int64

/// Keys that are put under a lease vanish when it is not kept alive.
package struct ControlLease: Sendable, Equatable, Hashable {
  package var id: Int64
  /// What the store granted; it may be more than what was asked.
  package var seconds: Int

  package init(id: Int64, seconds: Int) {
    self.id = id
    self.seconds = seconds
  }
}

/// Entries of one moment.
package struct ControlRange: Sendable, Equatable {
  /// In order of their keys.
  package var entries: [ControlEntry]
  /// A watch from the next one on sees everything that came later.
  package var revision: ControlRevision
  /// Keys whose values were not put there with this cluster's key; each is named to the operator and left out.
  package var damaged: [String] = []

  package init(entries: [ControlEntry], revision: ControlRevision) {
    self.entries = entries
    self.revision = revision
  }
}

/// One change of one key, as a watch tells it.
package enum ControlEvent: Sendable, Equatable {
  case put(ControlEntry)
  case deleted(key: String, revision: ControlRevision)
  /// It was put, but not with this cluster's key: what was there before is no longer in the store.
  case damaged(key: String, revision: ControlRevision)

  package var key: String {
    switch self {
    case .put(let entry): entry.key
    case .deleted(let key, _), .damaged(let key, _): key
    }
  }

  package var revision: ControlRevision {
    switch self {
    case .put(let entry): entry.revision
    case .deleted(_, let revision), .damaged(_, let revision): revision
    }
  }
}

package protocol ControlStore: Sendable {
  func entry(_ key: String) async throws(ControlStoreError) -> ControlEntry?

  /// Entries whose keys begin with `prefix`, at most `limit` of them.
  func entries(prefix: String, limit: Int) async throws(ControlStoreError) -> ControlRange

  /// Makes all of `changes` when every condition holds, else none. What is put belongs to `lease`, if one is given.
  /// No key twice. A transaction that changes nothing is no new revision. `.unknown` says that it may have been made:
  /// read before trying again.
  func transact(
    if conditions: [ControlCondition], then changes: [ControlChange], lease: ControlLease?
  ) async throws(ControlStoreError) -> ControlOutcome

  /// Changes below `prefix` from `revision` on, those of one transaction together, in order and without a gap. It ends
  /// by throwing: `.compacted` when the store has forgotten `revision`, or the reader is too far behind (read the
  /// range, watch from there), `.unavailable` when the connection is gone (watch again from the revision after the last
  /// one seen). Events are held for one reader, within a bound.
  func watch(prefix: String, from revision: ControlRevision) -> AsyncThrowingStream<[ControlEvent], any Error>

  func grant(seconds: Int) async throws(ControlStoreError) -> ControlLease

  /// `.leaseExpired` when it is too late.
  func keepAlive(_ lease: ControlLease) async throws(ControlStoreError)

  /// Its keys vanish at once.
  func revoke(_ lease: ControlLease) async throws(ControlStoreError)
}
