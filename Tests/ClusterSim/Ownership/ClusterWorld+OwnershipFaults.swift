// Faults of the ownership half take effect here. What loses data strikes only while no shard counts on a node that has
// lost its own already: more than that no goal promises to survive.

import Base
import Control
import Formats
import Membership
import Simulator

extension ClusterWorld {
  /// False when nothing came of it.
  func happenToOwnership(_ fault: ClusterFault) -> Bool {
    guard let ownership else { return false }
    switch fault {
    case .crashBetweenEffects(let number, let count):
      guard members[number].isUp, members[number].effectsLeft == nil else { return false }
      members[number].effectsLeft = count
    case .bounce(let number, let time):
      guard members[number].isUp else { return false }
      bounce(number, time)
    case .coup(let shard, let time): return coup(shard, time)
    case .loseDisk(let number): return loseDisk(number)
    case .emptyLog(let number): return emptyLog(number)
    case .localWriteFails(let number):
      guard members[number].isUp, !isPaused(number) else { return false }
      return failWrites(number)
    case .stalePage(let number): return losePage(number)
    case .deposed(let shard, let time): return depose(shard, time)
    case .split(let shard, let time): return split(shard, time)
    case .stallLog(let number, let time):
      guard members[number].isUp else { return false }
      ownerStep(number, .stalled(true))
      scheduler.put(.owner(.stall(number, false)), at: now + time)
    case .cutStore(let nodes, let time):
      guard !nodes.isEmpty else { return false }
      for number in nodes { ownership.storeCuts[number] += 1 }
      scheduler.put(.owner(.storeHealed(nodes)), at: now + time)
    case .downStore(let time): ownership.storeDownUntil = max(ownership.storeDownUntil, now + time)
    case .slowStore(let time): ownership.storeSlowUntil = max(ownership.storeSlowUntil, now + time)
    case .compactStore: ownership.store.compact()
    case .breakWatches:
      guard !ownership.watchers.isEmpty else { return false }
      breakWatches()
    case .handOver(let shard):
      if random.oneIn(2), let primary = truth(shard)?.record.primary.flatMap({ numbers[$0] }) {
        ownership.madeLate.insert(primary)
      }
      return handOver(shard)
    case .changeVoters(let shard): wantOtherVoters(shard)
    default: return false
    }
    return true
  }

  private func bounce(_ number: Int, _ time: Int64) {
    crash(number)
    scheduler.put(.start(number), at: now + time)
  }

  /// The old primary hears nobody, and does not know that the others have started anew.
  func coup(_ shard: Int, _ time: Int64) -> Bool {
    guard let ownership, let (record, _) = truth(shard), let primary = record.primary.flatMap({ numbers[$0] }) else {
      return false
    }
    let others = members.indices.filter { $0 != primary }
    // Often it speaks and does not hear, or the other way round.
    let isDeafOnly = random.oneIn(3)
    if !isDeafOnly { cut([primary], others, time) }
    if isDeafOnly || !random.oneIn(4) { cut(others, [primary], time) }
    if isDeafOnly || random.oneIn(2) {
      ownership.storeCuts[primary] += 1
      scheduler.put(.owner(.storeHealed([primary])), at: now + time * (isDeafOnly ? 3 : 1))
    }
    let isQuick = random.oneIn(3)
    for voter in record.electors {
      guard let number = numbers[voter], number != primary, members[number].isUp else { continue }
      if isQuick {
        // They are back before the lease that they granted is over, and told at once that nobody is there.
        let pause = Int64(1 + random.below(40)) * 1_000_000
        bounce(number, pause)
        scheduler.put(.hint(number, about: primary, .refused), at: now + pause + 20_000_000)
        continue
      }
      switch random.below(3) {
      case 0: members[number].effectsLeft = random.below(60)
      case 1: bounce(number, Int64(1 + random.below(300)) * 1_000_000)
      default: break
      }
      ownerStep(number, .hint(isDeafOnly ? .refused : .closed, about: members[primary].id))
    }
    return true
  }

  /// Does a shard count on a node whose data is gone?
  private var isWounded: Bool {
    guard let ownership else { return true }
    for shard in ownership.plan.shards.indices {
      guard let (record, _) = truth(shard) else { return true }
      if !record.previous.isEmpty { return true }
      if record.electors.contains(where: { numbers[$0].map { ownership.owners[$0].isBroken } ?? true }) { return true }
    }
    return false
  }

  private func loseDisk(_ number: Int) -> Bool {
    guard let ownership, !isWounded,
      let spare = members.indices.first(where: { $0 >= ownership.plan.running && members[$0].life == 0 }),
      plan.regions[spare] == plan.regions[number] || ownership.plan.shards.allSatisfy({ $0.goal == .node })
    else { return false }
    crash(number)
    members[number].driver = nil
    ownership.owners[number].isBroken = true
    ownership.owners[number].isGone = true
    start(spare)
    return true
  }

  private func emptyLog(_ number: Int) -> Bool {
    guard let ownership, !isWounded else { return false }
    crash(number)
    ownership.owners[number].isBroken = true
    for replica in ownership.owners[number].replicas { replica.empty() }
    scheduler.put(.start(number), at: now + Int64(random.below(1_000)) * 1_000_000)
    return true
  }

  /// The checkpoint said that it was done, and one page is as it was before.
  private func losePage(_ number: Int) -> Bool {
    guard let ownership, !isWounded else { return false }
    var stale: [(SimulatedReplica, Int)] = []
    for replica in ownership.owners[number].replicas {
      for page in replica.main.pages.indices where replica.main.pages[page] != replica.mainBefore.pages[page] {
        stale.append((replica, page))
      }
    }
    guard let (replica, page) = stale.randomElement(using: &random) else { return false }
    crash(number)
    ownership.owners[number].isBroken = true
    replica.main.pages[page] = replica.mainBefore.pages[page]
    replica.isStale = true
    scheduler.put(.start(number), at: now + Int64(random.below(300)) * 1_000_000)
    return true
  }

  /// Clients still reach it for a while, and what they write there comes to nothing. Sometimes the network was bad
  /// before, so that answers of then still arrive.
  private func depose(_ shard: Int, _ time: Int64) -> Bool {
    guard let (record, _) = truth(shard), let primary = record.primary.flatMap({ numbers[$0] }) else { return false }
    var delay: Int64 = 0
    if random.oneIn(2) {
      badWeather(time + 2 * ClusterPlan.second)
      delay = Int64(200 + random.below(600)) * 1_000_000
    }
    scheduler.put(.owner(.isolate(primary, time + 800_000_000)), at: now + delay)
    return true
  }

  func isolate(_ number: Int, _ time: Int64) {
    guard let ownership else { return }
    let others = members.indices.filter { $0 != number }
    cut([number], others, time)
    cut(others, [number], time)
    guard random.oneIn(2) else { return }
    ownership.storeCuts[number] += 1
    scheduler.put(.owner(.storeHealed([number])), at: now + time)
  }

  /// One of its voters does not hear the primary and starts another epoch; the others do, and so does the primary hear
  /// from them alone that its time is over, where much is lost.
  private func split(_ shard: Int, _ time: Int64) -> Bool {
    guard let ownership, let (record, _) = truth(shard), let primary = record.primary.flatMap({ numbers[$0] }),
      let voter = record.electors.compactMap({ numbers[$0] }).filter({ $0 != primary }).randomElement(using: &random)
    else { return false }
    cut([primary], [voter], time + 1_800_000_000)
    cut([voter], [primary], time + 1_800_000_000)
    ownership.storeCuts[primary] += 1
    scheduler.put(.owner(.storeHealed([primary])), at: now + time + 1_800_000_000)
    if random.oneIn(2) {
      ownership.muffled = OwnershipState.Muffled(node: primary, until: now + time + 1_800_000_000)
    } else {
      badWeather(time + 1_800_000_000)
    }
    return true
  }

  /// Is this one of the datagrams that a muffled node does not get?
  func isMuffled(_ bytes: [UInt8], from: Int, to: Int) -> Bool {
    guard let ownership, let muffled = ownership.muffled, muffled.node == to, now < muffled.until, !ownership.isHealed,
      let message = try? OwnershipMessage(bytes)
    else { return false }
    switch message {
    case .reports: return true
    case .beat(let beat): return !beat.claims.isEmpty
    case .reply(let reply):
      let news = Set(reply.ended).subtracting(muffled.lost[from] ?? [])
      if news.isEmpty { return false }
      ownership.muffled?.lost[from, default: []].formUnion(news)
      totals.note("first word of an ended grant lost")
      return true
    }
  }

  private func badWeather(_ time: Int64) {
    network.conditions.lossPermille = max(plan.conditions.lossPermille, random.below(500))
    network.conditions.reorderPermille = max(plan.conditions.reorderPermille, random.below(600))
    network.conditions.reorderDelay = max(plan.conditions.reorderDelay, Int64(random.below(1500)) * 1_000_000 + 1)
    scheduler.put(.owner(.calm), at: now + time)
  }

  func healOwnership() {
    guard let ownership else { return }
    ownership.isHealed = true
    ownership.storeCuts = ownership.storeCuts.map { _ in 0 }
    ownership.storeDownUntil = 0
    ownership.storeSlowUntil = 0
    for number in members.indices {
      members[number].effectsLeft = nil
      ownerStep(number, .stalled(false))
      guard number < ownership.plan.running || members[number].life > 0 else { continue }
      start(number)
      // Who is saying goodbye comes back when it is done.
      scheduler.put(.start(number), at: now + 3 * ClusterPlan.second)
    }
  }
}
