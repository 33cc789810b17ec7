// This member's own life: start, incarnations, refutation, health, goodbye.
//
// An incarnation is durable before it is used, and a reserve of them is made durable ahead, so that a refutation waits
// for no disk. A restart begins above everything that the earlier life may have used.

import Base
import Formats

extension SwimMachine {
  mutating func start(_ stored: Incarnation, _ seeds: [GossipAddress]) {
    guard case .idle = phase else { return }
    phase = .starting
    self.seeds = seeds.filter { $0 != profile.address }
    incarnation = stored + 1
    if configuration.plantedBugs.contains(.reuseIncarnation) {
      incarnation = max(1, stored + 1 - min(stored, configuration.incarnationReserve))
    }
    askCeiling(stored + configuration.incarnationReserve)
  }

  mutating func persisted(_ durable: Incarnation, _ now: Instant) {
    ceiling = max(ceiling, min(durable, ceilingAsked))
    if case .starting = phase, ceiling >= incarnation {
      phase = .active
      startSchedule(now)
      tellOwnLife(now)
      for seed in seeds { askState(of: nil, at: seed) }
    }
    if let wanted = wantedIncarnation, wanted <= ceiling {
      wantedIncarnation = nil
      if wanted > incarnation { raise(to: wanted, now) }
    }
  }

  /// Somebody believes something graver of us than that we live, at `accused`: live more than that.
  mutating func refute(_ accused: Incarnation, _ now: Instant) {
    guard case .active = phase, accused >= incarnation, accused < GossipLimits.incarnationMax else {
      if case .leaving = phase { tell(.left(node: node, incarnation: incarnation), now) }
      return
    }
    guard !configuration.plantedBugs.contains(.skipRefutation) else { return }
    let wanted = accused + 1
    guard wanted <= ceiling || configuration.plantedBugs.contains(.useBeforePersisted) else {
      wantedIncarnation = max(wanted, wantedIncarnation ?? 0)
      askCeiling(wanted + configuration.incarnationReserve)
      return
    }
    raise(to: wanted, now)
  }

  private mutating func raise(to wanted: Incarnation, _ now: Instant) {
    incarnation = wanted
    counters.refutations += 1
    health.add(1)
    if ceiling < wanted + configuration.incarnationReserve / 2 { askCeiling(wanted + configuration.incarnationReserve) }
    tellOwnLife(now)
    gossip(now)
  }

  private mutating func askCeiling(_ wanted: Incarnation) {
    guard wanted > ceilingAsked else { return }
    ceilingAsked = wanted
    effects.append(.persist(wanted))
  }

  private mutating func tellOwnLife(_ now: Instant) {
    tell(.alive(node: node, incarnation: incarnation, profile: profile, health: ownHealth), now)
  }

  mutating func leave(_ now: Instant) {
    switch phase {
    case .active:
      phase = .leaving(until: now + configuration.leaveLinger)
      // A refutation that still waits for the disk would call us back to life.
      wantedIncarnation = nil
      probes = []
      suspicions = []
      schedule = Schedule(timer: schedule.timer)
      tell(.left(node: node, incarnation: incarnation), now)
      gossip(now)
    case .idle, .starting:
      phase = .left
      effects.append(.leaveFinished)
    case .leaving, .left: break
    }
  }

  mutating func finishLeaving() {
    phase = .left
    schedule = Schedule()
    changes.removeAll()
    reports.removeAll()
    effects.append(.leaveFinished)
  }

  /// Own measurements: they stretch our patience at once, and are told when they have changed enough to matter.
  mutating func take(_ sample: HealthSample, _ now: Instant) {
    health.take(sample, configuration)
    var report = GossipHealth(
      version: ownHealth.version, loadPermille: UInt16(clamping: sample.loadPermille),
      diskFillPermille: UInt16(clamping: sample.diskFillPermille),
      loopLagMilliseconds: UInt16(clamping: sample.loopLag.milliseconds),
      syncMilliseconds: UInt16(clamping: sample.syncLatency.milliseconds),
      applyLagMilliseconds: UInt16(clamping: sample.applyLag.milliseconds),
      score: UInt8(clamping: health.multiplier - 1))
    if sample.isDraining { report.flags.insert(.draining) }
    if sample.loopLag > configuration.loopLagLimit || sample.syncLatency > configuration.syncLimit
      || sample.applyLag > configuration.applyLagLimit
      || sample.diskFillPermille > configuration.diskFillLimitPermille
    {
      report.flags.insert(.degraded)
    }
    guard case .active = phase, isWorthTelling(report, now) else { return }
    report.version &+= 1
    ownHealth = report
    schedule.report = now + configuration.healthReportPeriod
    reports.put(.health(node: node, incarnation: incarnation, report))
  }

  private func isWorthTelling(_ report: GossipHealth, _ now: Instant) -> Bool {
    if report.flags != ownHealth.flags { return true }
    if let next = schedule.report, now < next { return false }
    func differ(_ a: UInt16, _ b: UInt16, _ tolerance: Int) -> Bool { abs(Int(a) - Int(b)) > tolerance }
    return report.score != ownHealth.score
      || differ(report.loadPermille, ownHealth.loadPermille, 100)
      || differ(report.diskFillPermille, ownHealth.diskFillPermille, 10)
      || differ(report.loopLagMilliseconds, ownHealth.loopLagMilliseconds, 20)
      || differ(report.syncMilliseconds, ownHealth.syncMilliseconds, 50)
      || differ(report.applyLagMilliseconds, ownHealth.applyLagMilliseconds, 1000)
  }
}
