// By what right this node answers a request of an account: it leads it in an epoch, or its replica is as fresh as the
// client asked for.
//
// A right may end at any moment. So a read asks `holds` once it has pinned what it shows; a write needs no question, for
// it is acknowledged by a write set of its epoch or not at all.

import Base
import Node
import ShardStore

struct Serving: Sendable {
  enum Role: Sendable {
    case primary(Epoch)
    case standby(ReadDemand)
  }

  let account: AccountID
  let role: Role
  let routing: any ShardRouting

  var isStandby: Bool { if case .standby = role { true } else { false } }

  var holds: Bool {
    switch role {
    case .primary(let epoch): routing.mayServe(account, epoch)
    case .standby(let demand): demand.isMet(asOf: routing.freshAsOf(account))
    }
  }
}

extension Serving? {
  /// Whose state the read shall see.
  var source: ReadSource { self?.isStandby == true ? .replica : .primary }

  /// For `Engine.read`. Without a right nobody else could answer.
  var confirm: (@Sendable () -> Bool)? {
    guard let serving = self else { return nil }
    return { serving.holds }
  }
}
