// How this node is: measured now and then, told to the membership, which tells the others.

import Base
import Control
import Disk
import Fabric
import Formats
import Glibc
import Membership
import Threads
import UVLoop

extension ClusterService {
  func sampleHealth() async {
    let directory = configuration.paths.data
    while !Task.isCancelled {
      let isDraining = control.view.with { $0[self.nodeID]?.record.state == .draining }
      let syncTime = try? await blocking { try Self.timedSync(directory + "/health") }
      let (lag, _) = endpoint.loop.metrics.takeWorst()
      await membership.sample(
        HealthSample(
          loadPermille: parts.loadPermille(), diskFillPermille: Self.diskFillPermille(directory),
          loopLag: Interval(lag),
          // A disk that refuses is as bad as one that takes for ever.
          syncLatency: Interval(syncTime ?? .seconds(60)), isDraining: isDraining))
      await publishCounters()
      try? await Task.sleep(for: configuration.fabric.healthSample)
    }
  }

  /// How long a small write takes until it is on the disk.
  private static func timedSync(_ path: String) throws -> Duration {
    try ContinuousClock().measure { try RealDisk().replaceFile(path, [0x6b]) }
  }

  /// As `df` has it: what is used, of what is used or may be. Blocks that are kept back for root count as neither.
  private static func diskFillPermille(_ path: String) -> Int {
    var facts = statvfs()
    guard statvfs(path, &facts) == 0, facts.f_blocks > 0 else { return 0 }
    let used = facts.f_blocks - facts.f_bfree
    return Int(used * 1000 / max(used + facts.f_bavail, 1))
  }

  private func publishCounters() async {
    let metrics = parts.metrics
    let counters = await endpoint.counters
    metrics.gauge("komora_fabric_links").set(Double(counters.links))
    metrics.gauge("komora_fabric_datagrams_accepted").set(Double(counters.datagramsAccepted))
    metrics.gauge("komora_fabric_datagrams_dropped").set(Double(counters.datagramsDropped))
    metrics.gauge("komora_fabric_datagrams_damaged").set(Double(counters.datagramsDamaged))
    metrics.gauge("komora_fabric_accepts_failed").set(Double(counters.acceptsFailed))
    for (reason, count) in counters.datagramsRefused {
      metrics.gauge("komora_fabric_datagrams_refused", [("reason", reason)]).set(Double(count))
    }
    for (reason, count) in counters.linksEnded {
      metrics.gauge("komora_fabric_links_ended", [("reason", reason)]).set(Double(count))
    }
    metrics.gauge("komora_fabric_loop_lag_seconds").set(Double(endpoint.loop.metrics.lag.wholeMicroseconds) / 1e6)
    let figures = await shards.figures
    metrics.gauge("komora_shards_led").set(Double(figures.led))
    metrics.gauge("komora_shards_replicas").set(Double(figures.replicas))
    metrics.gauge("komora_shards_damaged").set(Double(figures.damaged))
    metrics.gauge("komora_shards_leads_begun").set(Double(figures.ownership.leadsBegun))
    metrics.gauge("komora_shards_leads_given_up").set(Double(figures.ownership.leadsGivenUp))
    metrics.gauge("komora_shards_hand_overs").set(Double(figures.ownership.handOvers))
    metrics.gauge("komora_shards_control_unknown").set(Double(figures.ownership.unknownOutcomes))
    metrics.gauge("komora_shards_letters_dropped").set(Double(figures.lettersDropped))
    metrics.gauge("komora_cluster_gossip_refused").set(Double(await membership.refusedBytes))
    let swim = await membership.counters
    metrics.gauge("komora_cluster_probes_failed").set(Double(swim.probesFailed))
    var standings: [Member.Standing: Int] = [.alive: 1]
    for member in await membership.members { standings[member.standing, default: 0] += 1 }
    for standing in [Member.Standing.alive, .suspect, .dead, .left] {
      metrics.gauge("komora_cluster_members", [("standing", "\(standing)")]).set(Double(standings[standing] ?? 0))
    }
  }
}
