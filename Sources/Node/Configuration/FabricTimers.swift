// What a cluster waits for, and how long. What is nil follows the membership's profile.

import Base
import Membership

package struct FabricTimers: Sendable, Equatable {
  package var isWide = false
  package var probePeriod: Duration?
  package var probeTimeout: Duration?
  package var gossipPeriod: Duration?
  package var pushPullPeriod: Duration?
  package var reconnectPeriod: Duration?
  package var leaveLinger: Duration?
  package var handshakeTimeout = Duration.seconds(5)
  package var questionTimeout = Duration.seconds(5)
  package var healthSample = Duration.seconds(1)
  package var handOverWait = Duration.seconds(10)
  package var controlTimeout = Duration.seconds(5)
  package var controlWait = Duration.seconds(60)
  package var controlHeartbeat: Duration?
  package var controlElection: Duration?
  package var caretakerLease = Duration.seconds(10)
  package var caretakerInterval = Duration.seconds(1)
  package var datagramKeyRotation = Duration.seconds(86_400)
  package var certificateLife = Duration.seconds(90 * 86_400)
  package var invitationLife = Duration.seconds(900)

  package init() {}

  var swim: SwimConfiguration {
    var swim: SwimConfiguration = isWide ? .wan : .lan
    if let probePeriod { swim.probePeriod = Interval(probePeriod) }
    if let probeTimeout { swim.probeTimeout = Interval(probeTimeout) }
    if let gossipPeriod { swim.gossipPeriod = Interval(gossipPeriod) }
    if let pushPullPeriod { swim.pushPullPeriod = Interval(pushPullPeriod) }
    if let reconnectPeriod { swim.reconnectPeriod = Interval(reconnectPeriod) }
    if let leaveLinger { swim.leaveLinger = Interval(leaveLinger) }
    return swim
  }
}

extension Interval {
  init(_ duration: Duration) {
    let (seconds, attoseconds) = duration.components
    self.init(nanoseconds: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
  }
}
