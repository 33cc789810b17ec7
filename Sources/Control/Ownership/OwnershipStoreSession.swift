// Where this node stands with the control store: reading all records, watching them, or waiting to try again.

import Base
import Formats

struct OwnershipStoreSession: Sendable {
  enum Phase: Sendable, Equatable {
    case idle
    case listing
    case watching(UInt64)
    /// Nil: read everything first.
    case waiting(until: Instant, from: Int64?)
  }

  enum Kind: Sendable, Equatable {
    case list
    case get(Int)
    case transact([OwnershipEntry])
  }

  struct Pending: Sendable {
    let number: UInt64
    let kind: Kind
    let deadline: Instant
  }

  var phase = Phase.idle
  /// What a watch has to bring next.
  var next: Int64 = 0
  /// By number, all but the watch.
  var pending: [Pending] = []
  private var number: UInt64 = 0

  /// Is what this node knows likely to be new, and would a compare-and-set reach the store?
  var isReady: Bool { if case .watching = phase { true } else { false } }

  mutating func nextNumber() -> UInt64 {
    number += 1
    return number
  }

  mutating func take(_ number: UInt64) -> Pending? {
    pending.firstIndex { $0.number == number }.map { pending.remove(at: $0) }
  }
}
