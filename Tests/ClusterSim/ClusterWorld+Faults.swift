// Faults take effect here, and end here.

import Base
import Membership
import Simulator

extension ClusterWorld {
  func happen(_ fault: ClusterFault) {
    note("FAULT \(fault)")
    switch fault {
    case .crash(let number):
      guard members[number].isUp else { return }
      crash(number)
    case .restart(let number):
      guard !members[number].isUp else { return }
      start(number)
    case .powerFailure:
      for number in members.indices {
        crash(number)
        if !random.oneIn(5) { scheduler.put(.start(number), at: now + Int64(random.below(3000)) * 1_000_000) }
      }
    case .leave(let number):
      guard running.count > 1, running.contains(number) else { return }
      members[number].hasLeft = true
      step(number, .leave)
    case .pause(let number, let time):
      guard members[number].isUp, time > 0 else { return }
      pause(number, for: time)
    case .starve(let number, let time):
      guard members[number].isUp, time > 0 else { return }
      beginStarvation(of: number, until: now + time)
    case .slowDisk(let number, let time): members[number].syncTime = max(2_000_000, time)
    case .partition(let side, let time):
      let other = members.indices.filter { !side.contains($0) }
      guard !side.isEmpty, !other.isEmpty else { return }
      cut(side, other, time)
      cut(other, side, time)
    case .oneWay(let from, let to, let time):
      guard from.contains(where: { a in to.contains { $0 != a } }) else { return }
      cut(from, to, time)
    case .streamClosed(let a, let b):
      guard a != b, members[a].isUp else { return }
      scheduler.put(.hint(a, about: b, .closed), at: now)
    case .streamRefused(let a, let b):
      guard a != b, members[a].isUp else { return }
      scheduler.put(.hint(a, about: b, .refused), at: now)
    case .sample(let number, let lag, let fill):
      guard members[number].isUp, !isPaused(number) else { return }
      step(number, .sample(HealthSample(diskFillPermille: fill, loopLag: .milliseconds(lag))))
    default: guard happenToOwnership(fault) else { return }
    }
    totals.note(fault.name)
  }

  func cut(_ from: [Int], _ to: [Int], _ time: Int64) {
    var links: [(from: Int, to: Int)] = []
    for a in from {
      for b in to where a != b {
        network.cut(from: a, to: b)
        links.append((a, b))
      }
    }
    scheduler.put(.heal(links), at: now + time)
  }

  /// Ends all faults: what is dead stays dead, everything else can be reached and runs at full speed.
  func heal() {
    network.healAll()
    network.conditions = plan.conditions
    network.conditions.lossPermille = 0
    network.conditions.duplicatePermille = 0
    network.conditions.reorderPermille = 0
    for number in members.indices {
      members[number].starvedUntil = 0
      members[number].syncTime = 2_000_000
      if isPaused(number) {
        members[number].pausedUntil = now
        scheduler.put(.resume(number), at: now)
      }
    }
    totals.network = network.counts
    healOwnership()
    note("healed")
  }
}
