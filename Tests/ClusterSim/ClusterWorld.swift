// Members, network and time of one run. Single-threaded and decided by the seed alone.
//
// Checkers see what leaves a member (datagrams, news, what it keeps on its disk) and the truth that only the world knows
// (who runs, who can reach whom); never the inside of the machine under test.

package import Base
import Formats
package import Membership
import Simulator

package final class ClusterWorld {
  package let plan: ClusterPlan
  package internal(set) var members: [SimulatedMember] = []
  package internal(set) var totals = ClusterTotals()
  package internal(set) var trace: [String] = []
  package internal(set) var violation: Violation?
  /// Called with each news: who says it, what, when.
  package var onNews: (Int, MembershipNews, Int64) -> Void = { _, _, _ in }

  var network: VirtualNetwork
  var scheduler = VirtualScheduler<ClusterEvent>()
  var random: SeededGenerator
  var numbers: [NodeID: Int] = [:]
  var checkers: Checkers?
  /// Nil in a run of membership alone.
  let ownership: OwnershipState?
  /// Of each node: when its last sync is done.
  var lastSync: [Int64]
  let isTraced: Bool

  package init(plan: ClusterPlan, seed: UInt64, isChecked: Bool = true, isTraced: Bool = false) {
    self.plan = plan
    self.isTraced = isTraced
    random = SeededGenerator(seed: seed ^ 0x6b6f_6d6f_7261)
    ownership = plan.ownership.map { OwnershipState($0, count: plan.regions.count) }
    lastSync = [Int64](repeating: 0, count: plan.regions.count)
    network = VirtualNetwork(regions: plan.regions, conditions: plan.conditions, seed: random.next())
    for number in plan.regions.indices {
      members.append(SimulatedMember(number: number, &random))
      numbers[members[number].id] = number
    }
    if isChecked { checkers = Checkers(count: members.count, configuration: plan.configuration) }
    for (i, fault) in plan.faults.enumerated() { scheduler.put(.fault(i), at: fault.at) }
    prepareOwnership()
  }

  package var now: Int64 { scheduler.now }

  /// Who runs and has not said goodbye.
  package var running: [Int] { members.indices.filter { members[$0].isUp && !members[$0].hasLeft } }

  /// What is wrong with the members' views; nil when they are right.
  package var difference: String? { ConvergenceChecker.difference(self) }

  package func number(of node: NodeID) -> Int? { numbers[node] }

  /// Runs until then, or until an invariant breaks.
  package func run(until end: Int64) {
    while violation == nil, let event = scheduler.take(until: end) { happen(event) }
  }

  /// Starts the process of a member; it joins through the first ones. A node remembers on its disk whom it knew, so the
  /// seeds of a run with faults are all: otherwise two that restart while the seeds are gone could never meet.
  package func start(_ number: Int, seeds: Int = 16) {
    guard members[number].driver == nil, ownership?.owners[number].isGone != true else { return }
    members[number].life += 1
    members[number].hasLeft = false
    members[number].isTimerDue = false
    members[number].inbox = []
    members[number].syncing = []
    members[number].pausedUntil = 0
    members[number].effectsLeft = nil
    let profile = GossipProfile(
      address: SimulatedMember.address(number), name: "node-\(number)", region: "r\(plan.regions[number])", zone: "z")
    members[number].driver = SwimDriver(
      SwimMachine(
        node: members[number].id, profile: profile, configuration: plan.configuration, seed: random.next()))
    checkers?.started(number)
    let addresses = (0..<min(seeds, members.count)).map { SimulatedMember.address($0) }
    step(number, .start(stored: members[number].durable, seeds: addresses))
    if members[number].isUp { startOwner(number) }
  }

  /// Ends the process at once.
  package func crash(_ number: Int) {
    guard members[number].isUp else { return }
    if !members[number].syncing.isEmpty { totals.note("crash before an incarnation was durable") }
    // What was on its way to the disk may have reached it all the same.
    for incarnation in members[number].syncing where random.oneIn(3) {
      members[number].durable = max(members[number].durable, incarnation)
    }
    members[number].driver = nil
    crashOwner(number)
    guard plan.hints else { return }
    for other in members.indices where other != number && members[other].isUp {
      scheduler.put(.hint(other, about: number, .closed), at: now + plan.conditions.delay)
    }
  }

  /// True when a crash was due after this effect.
  func effectCounts(_ number: Int) -> Bool {
    guard let left = members[number].effectsLeft, members[number].isUp else { return false }
    members[number].effectsLeft = left - 1
    guard left <= 0 else { return false }
    members[number].effectsLeft = nil
    note("FAULT crash \(number) between two effects")
    totals.note("crash between two effects")
    crash(number)
    scheduler.put(.start(number), at: now + Int64(1 + random.below(1500)) * 1_000_000)
    return true
  }

  func note(_ text: @autoclosure () -> String) {
    if isTraced { trace.append("\(now / 1_000_000) ms \(text())") }
  }

  func fail(_ error: Violation) {
    guard violation == nil else { return }
    violation = error
    note("VIOLATION \(error)")
    noteOwners()
  }

  func check(_ body: () throws(Violation) -> Void) {
    do throws(Violation) { try body() } catch { fail(error) }
  }
}
