// What goes wrong in a run of membership and ownership together: mostly what hits elections, and seldom only once.

import Base
import Membership
import Simulator

extension ClusterPlan {
  /// Membership with ownership on top, on `running` nodes and as many spare ones as may be needed.
  package init(seed: UInt64, joint bugs: JointBugs) {
    var random = SeededGenerator(seed: seed &* 0x9e37 &+ 0x1234)
    self.init(count: 0, configuration: .lan)
    configuration.plantedBugs = bugs.membership
    if random.oneIn(2) { configuration.incarnationReserve = 2 }
    let running = 3 + random.below(5)
    let isWide = random.oneIn(2)
    let spares = random.below(2)
    regions = (0..<running).map { isWide ? $0 % 3 : 0 } + (0..<spares).map { _ in isWide ? random.below(3) : 0 }
    conditions.delayBetweenRegions = Int64(1 + random.below(20)) * 1_000_000
    conditions.jitterPermille = random.below(1000)
    conditions.lossPermille = random.oneIn(3) ? random.below(250) : random.below(30)
    conditions.duplicatePermille = random.below(100)
    conditions.reorderPermille = random.oneIn(2) ? random.below(200) : 0
    conditions.reorderDelay = Int64(1 + random.below(random.oneIn(4) ? 5000 : 500)) * 1_000_000
    hints = random.oneIn(2)
    let ownership = OwnershipPlan(running: running, regions: regions, bugs: bugs, &random)
    let shards = ownership.shards.count
    self.ownership = ownership
    end = Int64(8 + random.below(12)) * Self.second
    var at = Int64(1500) * 1_000_000
    while at < end {
      faults.append((at, Self.jointFault(running + spares, shards, &random)))
      at += random.oneIn(2) ? Int64(random.below(200)) * 1_000_000 : Int64(random.below(2500)) * 1_000_000
    }
  }

  /// A cluster in which nothing goes wrong by itself.
  package init(calm running: Int, shards: Int, regions: Int = 1, hints: Bool = true, seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    self.init(count: running, configuration: .lan)
    self.regions = (0..<running).map { $0 % regions }
    self.hints = hints
    ownership = OwnershipPlan(calm: running, shards: shards, &random)
  }

  private static func jointFault(_ count: Int, _ shards: Int, _ random: inout SeededGenerator) -> ClusterFault {
    let node = random.below(count)
    let shard = random.below(shards)
    let time = Int64(1 + (random.oneIn(3) ? random.below(4_000) : random.below(900))) * 1_000_000
    func some() -> [Int] { (0..<count).filter { _ in random.oneIn(2) } }
    switch random.below(48) {
    case 0: return .crash(node)
    case 1, 2, 3: return .restart(node)
    case 4: return .leave(node)
    case 5: return .powerFailure
    case 6, 7, 8: return .pause(node, time)
    case 9: return .starve(node, time * 2)
    case 10: return .slowDisk(node, time / 20)
    case 11, 12, 13: return .partition(side: some(), time)
    case 14: return .partition(side: [node], time)
    case 15, 16: return .oneWay(from: some(), to: some(), time)
    case 17: return .oneWay(from: [node], to: Array(0..<count), time)
    case 18: return .streamClosed(node, random.below(count))
    case 19: return .streamRefused(node, random.below(count))
    case 20: return .sample(node, lagMilliseconds: random.below(200), diskFillPermille: random.below(1000))
    case 21, 22, 23: return .crashBetweenEffects(node, random.below(200))
    case 24, 25: return .bounce(node, random.oneIn(2) ? time : time / 20)
    case 26, 27, 28: return .coup(shard: shard, time + 600_000_000)
    case 29: return .loseDisk(node)
    case 30: return .emptyLog(node)
    case 31: return .localWriteFails(node)
    case 32: return .stallLog(node, time)
    case 33: return .cutStore(some(), time)
    case 34: return random.oneIn(2) ? .downStore(time) : .slowStore(time)
    case 35: return .compactStore
    case 36: return .breakWatches
    case 37, 38: return .handOver(shard: shard)
    case 39: return .stalePage(node)
    case 40, 41: return .deposed(shard: shard, time)
    case 42, 43: return .split(shard: shard, time)
    case 44, 45: return .changeVoters(shard: shard)
    default: return .changeVoters(shard: shard)
    }
  }
}
