// What is due and when; and the stalls of this member itself, which must not count against others.

import Base
import Formats

extension SwimMachine {
  /// A member that was not scheduled for a while finds deadlines passed although the answers may lie in its socket. The
  /// time that it lost is given back to every deadline that waits for others (after Lifeguard: doubt yourself first).
  mutating func noticeStall(at now: Instant) {
    guard let timer = schedule.timer, now - timer > configuration.stallTolerance else { return }
    let lost = now - timer + configuration.stallTolerance
    counters.stalls += 1
    for i in probes.indices { probes[i].postpone(by: lost) }
    for i in relays.indices { relays[i].nackAt = relays[i].nackAt + lost }
    for i in suspicions.indices { suspicions[i].postpone(by: lost) }
    schedule.timer = nil
  }

  mutating func runDueWork(at now: Instant) {
    guard isSpeaking else { return }
    if case .leaving(let until) = phase, now >= until {
      finishLeaving()
      return
    }
    runProbes(at: now)
    runRelays(at: now)
    endSuspicions(at: now)
    if let due = schedule.probe, now >= due {
      urgentLeft = configuration.urgentProbesPerPeriod
      probeNext(now)
      schedule.probe = now + configuration.probePeriod * health.multiplier
    }
    startUrgentProbes(now)
    if let due = schedule.gossip, now >= due {
      gossip(now)
      // A lone member sleeps; whoever it meets is news, which begins this again.
      schedule.gossip = changes.isEmpty || reachable.isEmpty ? nil : now + configuration.gossipPeriod
    }
    if let due = schedule.pushPull, now >= due {
      pushPullWithSomeone()
      schedule.pushPull = now + jittered(configuration.pushPullPeriod)
    }
    if let due = schedule.reconnect, now >= due {
      reconnect()
      schedule.reconnect = now + jittered(isAlone ? configuration.joinRetry : configuration.reconnectPeriod)
    }
    if let due = schedule.sweep, now >= due {
      sweep(now)
      schedule.sweep = now + .seconds(60)
    }
  }

  mutating func startSchedule(_ now: Instant) {
    // Not all members at once after a common start.
    schedule.probe = now + portion(of: configuration.probePeriod)
    schedule.pushPull = now + portion(of: configuration.pushPullPeriod)
    schedule.reconnect = now + jittered(configuration.joinRetry)
    schedule.sweep = now + .seconds(60)
  }

  mutating func setTimer() {
    var next = schedule.earliest
    func consider(_ instant: Instant) { next = next.map { min($0, instant) } ?? instant }
    if isSpeaking {
      for probe in probes { consider(probe.deadline) }
      for relay in relays { consider(relay.nackAt) }
      for suspicion in suspicions { consider(suspicion.deadline) }
      if case .leaving(let until) = phase { consider(until) }
    } else {
      next = nil
    }
    guard let next, next != schedule.timer else { return }
    schedule.timer = next
    effects.append(.setTimer(next))
  }

  /// From 3/4 to 5/4 of `interval`.
  mutating func jittered(_ interval: Interval) -> Interval { interval.permille(750 + random.below(500)) }

  mutating func portion(of interval: Interval) -> Interval { interval.permille(random.below(1000)) }

  /// Forgets the dead and the gone after their time.
  private mutating func sweep(_ now: Instant) {
    for member in others where !member.isReachable {
      let kept = member.standing == .left ? configuration.leftRetention : configuration.deadRetention
      guard now - member.since > kept else { continue }
      members[member.node] = nil
      dead.removeAll { $0 == member.node }
      changes.remove(member.node)
      reports.remove(member.node)
      effects.append(.notify(.forgotten(member.node)))
    }
  }
}
