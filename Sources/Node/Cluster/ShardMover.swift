// Moves of replicas, as the caretaker drives them: what placement plans is done step by step, each step a change of one
// record that keeps the goal (`Placement.nextStep`).
//
// Nothing about a move is stored: what is under way shows in the records (learners, previous voters), and a caretaker that
// takes over plans anew from there. Only the primary of a shard changes its voters or gives up its lead, so these steps are
// asked of it; learners are added and removed by a compare-and-set of the record.

import Base
import Control
import ControlStores
import Formats
import Logging
import Threads
import UVLoop

struct ShardMover {
  private static let stepsAtOnce = 16
  /// Rounds between two looks at what is only nicer: balance, and primaries at home.
  private static let niceRounds = 12

  private let service: ClusterService
  private var pending: [AccountID: PlacementMove] = [:]
  private var rounds = 0

  init(_ service: ClusterService) { self.service = service }

  private enum Work: Sendable {
    case step(PlacementStep, PlacedAccount)
    case goal(PlacedAccount)

    var account: AccountID {
      switch self {
      case .step(_, let account), .goal(let account): account.id
      }
    }
  }

  /// Something is on its way.
  var isBusy: Bool { !pending.isEmpty }

  /// One round: plans, and begins the next step of each move.
  mutating func run() async {
    let nodes = await service.placementNodes()
    var accounts = service.placedAccounts(nodes, rulesHold: false)
    let known = Set(accounts.map(\.id))
    pending = pending.filter { known.contains($0.key) }
    for i in accounts.indices { accounts[i].pending = pending[accounts[i].id] }
    var placement = Placement(nodes: nodes, policy: service.placementPolicy)
    plan(&placement, &accounts, isNice: rounds % Self.niceRounds == Self.niceRounds - 1)
    rounds += 1
    var work: [Work] = []
    for account in accounts where work.count < 4 * Self.stepsAtOnce {
      if account.pending != nil {
        let caughtUp = await caughtUp(account)
        if let step = placement.nextStep(of: account, caughtUp: caughtUp) {
          work.append(.step(step, account))
        } else {
          pending[account.id] = nil
        }
      } else if wantsGoal(account) {
        work.append(.goal(account))
      }
    }
    await perform(work + retreats(accounts, placement))
    if rounds % Self.niceRounds == 0 { await bringHome(accounts, placement) }
  }

  private func retreats(_ accounts: [PlacedAccount], _ placement: Placement) -> [Work] {
    let found = accounts.lazy.compactMap { account in
      placement.retreat(of: account).map { Work.step(.handOver(to: $0), account) }
    }
    return Array(found.prefix(4 * Self.stepsAtOnce))
  }

  private mutating func plan(_ placement: inout Placement, _ accounts: inout [PlacedAccount], isNice: Bool) {
    var plans = [placement.repair(accounts, at: MembershipService.now)]
    for node in placement.nodes where node.state == .draining { plans.append(placement.drain(node.id, accounts)) }
    if plans.allSatisfy({ $0.moves.isEmpty }) { plans.append(placement.homecomings(accounts)) }
    if isNice, plans.allSatisfy({ $0.moves.isEmpty }), pending.isEmpty { plans.append(placement.rebalance(accounts)) }
    for plan in plans {
      for account in plan.hopeless { pending[account] = nil }
      for move in plan.moves where pending[move.account] == nil { pending[move.account] = move }
    }
    for i in accounts.indices { accounts[i].pending = pending[accounts[i].id] }
  }

  /// Its voters would hold what is wished for, but by the rule of another goal.
  private func wantsGoal(_ account: PlacedAccount) -> Bool {
    guard account.nextVoters == nil, account.primary != nil,
      let record = service.control.view.with({ $0.shards[account.id]?.record }),
      record.voterSet.goal != account.rules.goal
    else { return false }
    return Control.Survival(VoterSet(goal: account.rules.goal, voters: account.voters)).holds(account.rules.goal)
  }

  /// Learners that may become voters.
  private func caughtUp(_ account: PlacedAccount) async -> Set<NodeID> {
    let newcomers = account.pending?.add.filter { account.learners.contains($0) } ?? []
    guard !newcomers.isEmpty, let lags = await service.lags(of: account.id) else { return [] }
    return Set(newcomers.filter { (lags[$0] ?? .max) <= OwnershipConfiguration().learnerLagMax / 2 })
  }

  private func perform(_ work: [Work]) async {
    let service = service
    await withTaskGroup(of: Void.self) { group in
      for (i, item) in work.enumerated() {
        if i >= Self.stepsAtOnce { await group.next() }
        group.addTask {
          do throws(NodeError) {
            switch item {
            case .step(let step, let account): try await service.perform(step, account)
            case .goal(let account): try await service.perform(.changeVoters(account.voters), account)
            }
          } catch {
            service.logger.info(
              "a move goes on later", metadata: ["shard": "\(item.account)", "reason": "\(error.message)"])
          }
        }
      }
    }
  }

  /// A primary that a failure drove from home goes back, when the home answers again.
  private func bringHome(_ accounts: [PlacedAccount], _ placement: Placement) async {
    var work: [Work] = []
    for account in accounts where account.pending == nil && account.nextVoters == nil {
      guard let home = account.rules.homeRegion, let primary = account.primary, work.count < Self.stepsAtOnce,
        let now = account.voters.first(where: { $0.node == primary }), now.region != home,
        let best = placement.primary(of: account.id, account.rules, among: account.voters),
        account.voters.contains(where: { $0.node == best && $0.region == home })
      else { continue }
      work.append(.step(.handOver(to: best), account))
    }
    await perform(work)
  }
}
