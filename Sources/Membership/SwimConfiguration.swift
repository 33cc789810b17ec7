// Every timer and multiplier of the protocol, for one kind of network. Times that a member waits for others are stretched
// by its local health multiplier; what is here is for a healthy one.

package import Base

package struct SwimConfiguration: Sendable, Equatable {
  /// One member is probed per period (SWIM's T').
  package var probePeriod: Interval
  /// How long a direct answer may take before others are asked; a slower measured round trip raises it.
  package var probeTimeout: Interval
  /// Members asked to probe for us (SWIM's k).
  package var indirectProbes = 3
  /// Probes on a hint or to confirm a suspicion that may start in one period beside the regular one.
  package var urgentProbesPerPeriod = 2

  /// A suspicion lasts at least this many periods times log10(n), at most that times `suspicionSpread`.
  package var suspicionMultiplier = 5
  package var suspicionSpread = 5
  /// So many independent accusers bring it down to the least (Lifeguard's K).
  package var confirmationsWanted = 3
  /// How many members, on average, probe a suspect out of turn in order to confirm or clear it.
  package var confirmingProbes = 8

  package var gossipPeriod: Interval
  package var gossipFanout = 3
  /// An update is sent `lambda · max(2, ceil(log10(n + 1)))` times by each member that learnt it.
  package var lambda = 4

  package var pushPullPeriod: Interval
  /// How often a member believed dead, or a seed that is not known, is tried.
  package var reconnectPeriod: Interval
  package var joinRetry: Interval
  /// How long a member that goes spreads the word.
  package var leaveLinger: Interval
  package var deadRetention = Interval.seconds(72 * 3600)
  package var leftRetention = Interval.seconds(24 * 3600)

  /// Lifeguard's S: the local health multiplier is at most this plus one.
  package var healthScoreMax = 8
  /// A wake-up later than this is a stall: its length counts against nobody else.
  package var stallTolerance = Interval.milliseconds(30)
  /// A sample over one of these adds to the score while it lasts; twice as much adds two.
  package var loopLagLimit = Interval.milliseconds(50)
  package var syncLimit = Interval.milliseconds(500)
  /// Over these the member calls itself degraded.
  package var diskFillLimitPermille = 950
  package var applyLagLimit = Interval.seconds(10)
  package var healthReportPeriod = Interval.seconds(5)

  /// Incarnations made durable ahead, so that a refutation waits for no disk.
  package var incarnationReserve: UInt64 = 32
  package var plantedBugs: PlantedBugs = []

  /// Members within one region: round trips below some ten milliseconds.
  package static let lan = SwimConfiguration(
    probePeriod: .milliseconds(200), probeTimeout: .milliseconds(80), gossipPeriod: .milliseconds(100),
    pushPullPeriod: .seconds(15), reconnectPeriod: .seconds(2), joinRetry: .seconds(1), leaveLinger: .seconds(1))

  /// Members in regions far apart: round trips of some hundred milliseconds, more loss.
  package static let wan = SwimConfiguration(
    probePeriod: .milliseconds(1000), probeTimeout: .milliseconds(400), gossipPeriod: .milliseconds(250),
    pushPullPeriod: .seconds(30), reconnectPeriod: .seconds(5), joinRetry: .seconds(2), leaveLinger: .seconds(3))

  package init(
    probePeriod: Interval, probeTimeout: Interval, gossipPeriod: Interval, pushPullPeriod: Interval,
    reconnectPeriod: Interval, joinRetry: Interval, leaveLinger: Interval
  ) {
    self.probePeriod = probePeriod
    self.probeTimeout = probeTimeout
    self.gossipPeriod = gossipPeriod
    self.pushPullPeriod = pushPullPeriod
    self.reconnectPeriod = reconnectPeriod
    self.joinRetry = joinRetry
    self.leaveLinger = leaveLinger
  }

  /// What is wrong with it, in one sentence; nil when it can work.
  package var problem: String? {
    if probeTimeout <= .zero || probeTimeout * 2 > probePeriod {
      return "the probe timeout must be positive and at most half of the probe period"
    }
    let positive = [gossipPeriod, pushPullPeriod, reconnectPeriod, joinRetry, stallTolerance, healthReportPeriod]
    if positive.contains(where: { $0 <= .zero }) { return "every period must be positive" }
    let counts = [suspicionMultiplier, suspicionSpread, gossipFanout, lambda, urgentProbesPerPeriod]
    if counts.contains(where: { $0 < 1 }) || indirectProbes < 0 || confirmationsWanted < 0 || healthScoreMax < 0 {
      return "multipliers and counts must be positive"
    }
    if incarnationReserve < 2 { return "the incarnation reserve must be at least 2" }
    return nil
  }

  /// The least a suspicion lasts among `count` members.
  package func suspicionMin(_ count: Int) -> Interval {
    (probePeriod * suspicionMultiplier).permille(max(1000, Logarithm.decimalPermille(max(count, 1))))
  }

  /// How often one member sends one update. Few members are few tellers: below ten of them, one round of gossip each
  /// left somebody out in one of a thousand runs.
  package func retransmissions(_ count: Int) -> Int {
    lambda * max(2, (Logarithm.decimalPermille(count + 1) + 999) / 1000)
  }
}
