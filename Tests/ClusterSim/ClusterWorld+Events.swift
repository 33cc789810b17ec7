// What happens when its instant has come.

import Base
import Control
import Formats
import Membership
import Simulator

extension ClusterWorld {
  func happen(_ event: ClusterEvent) {
    switch event {
    case .timer(let number, let life, let serial):
      guard members[number].life == life, members[number].isUp, members[number].timer == serial else { return }
      if isPaused(number) { members[number].isTimerDue = true } else { step(number, .tick) }
    case .resume(let number): resume(number)
    case .starve(let number): starve(number)
    case .heal(let links): for link in links { network.heal(from: link.from, to: link.to) }
    case .fault(let i): happen(plan.faults[i].fault)
    case .start(let number): start(number)
    case .owner(let event): happen(event)
    case .datagram(let to, _, _):
      if members[to].isUp, isPaused(to) {
        // A socket's buffer is finite.
        if members[to].inbox.count < 300 { members[to].inbox.append(event) }
      } else {
        deliver(event)
      }
    case .state(let to, _, _, _, _, _): later(to, event)
    case .pushPullFailed(let number, _, _, _, _), .persisted(let number, _, _), .hint(let number, _, _):
      later(number, event)
    }
  }

  private func later(_ number: Int, _ event: ClusterEvent) {
    if members[number].isUp, isPaused(number) { members[number].inbox.append(event) } else { deliver(event) }
  }

  func isPaused(_ number: Int) -> Bool { members[number].pausedUntil > now }

  func pause(_ number: Int, for time: Int64) {
    guard members[number].isUp else { return }
    members[number].pausedUntil = max(members[number].pausedUntil, now + time)
    scheduler.put(.resume(number), at: members[number].pausedUntil)
  }

  /// Timers come before sockets, as in a libuv loop: the worse order for whoever must not accuse others.
  private func resume(_ number: Int) {
    guard members[number].isUp, !isPaused(number) else { return }
    let waiting = members[number].inbox
    members[number].inbox = []
    if members[number].isTimerDue {
      members[number].isTimerDue = false
      step(number, .tick)
    }
    resumeOwner(number)
    for event in waiting { deliver(event) }
  }

  private func starve(_ number: Int) {
    guard members[number].isUp, members[number].starvedUntil > now else { return }
    let slice = Int64(5_000_000 + random.below(95_000_000))
    pause(number, for: 3 * slice)
    scheduler.put(.starve(number), at: now + 4 * slice)
  }

  /// For the processes that never get more than a quarter of their time.
  package func beginStarvation(of number: Int, until end: Int64) {
    let isNew = members[number].starvedUntil <= now
    members[number].starvedUntil = max(members[number].starvedUntil, end)
    if isNew { scheduler.put(.starve(number), at: now + Int64(random.below(100_000_000))) }
  }

  private func deliver(_ event: ClusterEvent) {
    switch event {
    case .datagram(let to, let from, let bytes):
      guard members[to].isUp else { return }
      var port = OutputPort()
      let (sender, local) = (members[from].id, members[to].now(now))
      members[to].driver?.receive(bytes, from: sender, at: SimulatedMember.address(from), now: local, on: &port)
      finish(to, port)
    case .state(let to, let life, let from, let fromLife, let bytes, let wantsReply):
      guard life == nil || life == members[to].life else { return }
      receiveState(to, from, fromLife, bytes, wantsReply)
    case .pushPullFailed(let number, let life, let to, let node, let refused):
      guard life == members[number].life else { return }
      step(number, .pushPullFailed(node: node, at: SimulatedMember.address(to), refused: refused))
    case .persisted(let number, let life, let incarnation):
      guard life == members[number].life, members[number].isUp else { return }
      members[number].durable = max(members[number].durable, incarnation)
      members[number].syncing.removeAll { $0 == incarnation }
      step(number, .persisted(incarnation))
    case .hint(let number, let about, let hint):
      step(number, .hint(hint, about: members[about].id))
      ownerStep(number, .hint(hint == .closed ? .closed : .refused, about: members[about].id))
    case .owner(let event): happen(event)
    case .timer, .resume, .starve, .heal, .fault, .start: break
    }
  }

  private func receiveState(_ to: Int, _ from: Int, _ fromLife: Int, _ bytes: [UInt8], _ wantsReply: Bool) {
    guard let driver = members[to].driver, let own = driver.fullState(at: members[to].now(now)) else {
      // Nobody listens, or it is not ready to speak.
      if wantsReply {
        let refused = members[to].driver == nil
        let back = network.message(from: to, to: from, at: now) ?? now + ClusterPlan.second
        scheduler.put(
          .pushPullFailed(from, life: fromLife, to: to, members[to].id, refused: refused), at: back)
      }
      return
    }
    if wantsReply, let back = network.message(from: to, to: from, at: now) {
      scheduler.put(
        .state(to: from, life: fromLife, from: to, fromLife: members[to].life, own, wantsReply: false), at: back)
    }
    var port = OutputPort()
    let (sender, local) = (members[from].id, members[to].now(now))
    members[to].driver?.receive(state: bytes, from: sender, now: local, on: &port)
    finish(to, port)
  }

  func step(_ number: Int, _ event: SwimEvent) {
    guard members[number].isUp else { return }
    var port = OutputPort()
    let local = members[number].now(now)
    members[number].driver?.step(event, at: local, on: &port)
    finish(number, port)
  }

  /// Does what a step asked for.
  private func finish(_ number: Int, _ port: OutputPort) {
    if checkers != nil, let machine = members[number].driver?.machine, machine.phase == .active {
      checkers?.lived(number, machine.incarnation)
    }
    for output in port.outputs {
      switch output {
      case .send(let bytes, let address): send(bytes, from: number, to: SimulatedMember.number(address))
      case .pushPull(let node, let address): pushPull(number, node, SimulatedMember.number(address))
      case .persist(let incarnation):
        members[number].syncing.append(incarnation)
        let done = now + members[number].syncTime / 2 + Int64(random.below(Int(members[number].syncTime)))
        scheduler.put(.persisted(number, life: members[number].life, incarnation), at: done)
      case .timer(let instant):
        members[number].timer += 1
        members[number].isTimerDue = false
        scheduler.put(
          .timer(number, life: members[number].life, members[number].timer),
          at: members[number].clock.global(instant.nanoseconds))
      case .news(let news):
        note("\(number) hears \(news)")
        onNews(number, news, now)
        check { () throws(Violation) in try checkers?.heard(number, news, self) }
        switch news {
        case .suspect(let member): ownerStep(number, .hint(.suspect, about: member.node))
        case .dead(let member), .left(let member): ownerStep(number, .hint(.dead, about: member.node))
        default: break
        }
      case .leaveFinished:
        members[number].driver = nil
        crashOwner(number)
      }
      if effectCounts(number) { return }
    }
  }

  private func send(_ bytes: [UInt8], from: Int, to: Int) {
    members[from].datagramsSent += 1
    members[from].bytesSent += bytes.count
    check { () throws(Violation) in try checkers?.sent(from, bytes, self) }
    for arrival in network.datagram(from: from, to: to, at: now) {
      scheduler.put(.datagram(to: to, from: from, bytes), at: arrival)
    }
  }

  private func pushPull(_ from: Int, _ node: NodeID?, _ to: Int) {
    guard let driver = members[from].driver else { return }
    guard let state = driver.fullState(at: members[from].now(now)),
      let arrival = network.message(from: from, to: to, at: now)
    else {
      scheduler.put(
        .pushPullFailed(from, life: members[from].life, to: to, node, refused: false), at: now + ClusterPlan.second)
      return
    }
    scheduler.put(
      .state(to: to, life: nil, from: from, fromLife: members[from].life, state, wantsReply: true), at: arrival)
  }
}
