// One node of the simulation: its disk, its clock, and while the process runs its membership driver.

package import Base
package import Formats
package import Membership
import Simulator

package struct SimulatedMember {
  package let id: NodeID
  let number: Int
  let clock: VirtualNetworkClock
  /// Nil while the process does not run.
  package var driver: SwimDriver?
  /// Counts starts of the process: events of an earlier one are void.
  package var life = 0
  /// On the disk.
  package var durable: Incarnation = 0
  var syncing: [Incarnation] = []
  var syncTime: Int64 = 2_000_000
  /// Said goodbye of its own will, and has not come back.
  package var hasLeft = false

  var pausedUntil: Int64 = 0
  var starvedUntil: Int64 = 0
  var timer: UInt64 = 0
  var isTimerDue = false
  var inbox: [ClusterEvent] = []
  /// A crash is due after so many more effects.
  var effectsLeft: Int?
  package var datagramsSent = 0
  package var bytesSent = 0

  init(number: Int, _ random: inout SeededGenerator) {
    self.number = number
    id = NodeID(from: &random)
    clock = VirtualNetworkClock(
      offset: Int64(random.below(1_000_000)) * 1_000_000, driftPartsPerMillion: Int64(random.below(1001)) - 500)
  }

  package var isUp: Bool { driver != nil }

  func now(_ global: Int64) -> Instant { Instant(nanoseconds: clock.local(global)) }

  static func address(_ number: Int) -> GossipAddress {
    GossipAddress(host: [10, 0, UInt8(number >> 8), UInt8(number & 255)], port: 7402)!
  }

  static func number(_ address: GossipAddress) -> Int { Int(address.host[2]) << 8 | Int(address.host[3]) }
}

/// What waits in virtual time. `life` makes it void for a later process.
enum ClusterEvent {
  case timer(Int, life: Int, UInt64)
  case datagram(to: Int, from: Int, [UInt8])
  case state(to: Int, life: Int?, from: Int, fromLife: Int, [UInt8], wantsReply: Bool)
  case pushPullFailed(Int, life: Int, to: Int, NodeID?, refused: Bool)
  case persisted(Int, life: Int, Incarnation)
  case hint(Int, about: Int, StreamHint)
  case resume(Int)
  case starve(Int)
  case heal([(from: Int, to: Int)])
  case fault(Int)
  case start(Int)
  case owner(OwnerEvent)
}
