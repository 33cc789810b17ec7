// The steps of moves: changes of a shard's record, and what its primary is asked for.

import Base
import Control
import ControlStores
import Fabric
import Formats
import Logging
import Threads
import UVLoop

/// What the primary of a shard is asked to do: to lead on with other voters, or to hand over.
private struct ShardWish: Codable {
  var account: String
  var successor: String?
  var voters: [String]?
  var goal: UInt8?
  var learners: [String]?
}

private struct ShardAnswer: Codable {
  var refusal: String?
  /// Records that each replica's disk lacks, by node.
  var lags: [String: UInt64]?
}

extension ClusterService {
  func perform(_ step: PlacementStep, _ account: PlacedAccount) async throws(NodeError) {
    switch step {
    case .addLearner(let node): try await changeLearners(account.id) { $0.contains(node) ? $0 : $0 + [node] }
    case .removeLearner(let node): try await changeLearners(account.id) { $0.filter { $0 != node } }
    case .handOver(let node): try await handOver(account.id, to: node)
    case .changeVoters(let voters): try await changeVoters(account, to: voters)
    case .waitForLearner, .waitForPrimary, .waitForCommit: return
    }
  }

  private func changeLearners(
    _ id: AccountID, _ change: @escaping @Sendable ([NodeID]) -> [NodeID]
  ) async throws(NodeError) {
    try await control.change { view throws(NodeError) in
      guard let shard = view.shards[id] else { return PlannedChange(changes: [], value: ()) }
      var record = shard.record
      let nodes = change(record.learners.map(\.node)).filter { !record.counts($0) }
      record.learners = nodes.compactMap { node in
        record.learners.first { $0.node == node }
          ?? view[node].map { OwnershipRecord.Replica(node: node, region: $0.record.region) }
      }
      guard record != shard.record, record.learners.count <= OwnershipLimits.learnersMax else {
        return PlannedChange(changes: [], value: ())
      }
      return PlannedChange(
        conditions: [ControlCondition(record.key, at: shard.revision)], changes: [.put(record.key, record.encode())],
        value: ())
    }
  }

  private func changeVoters(_ account: PlacedAccount, to voters: [Voter]) async throws(NodeError) {
    let kept = Set(voters.map(\.node))
    // Who leaves the voters stays a learner until it is removed.
    let learners =
      account.voters.map(\.node).filter { !kept.contains($0) } + account.learners.filter { !kept.contains($0) }
    let goal: SurvivalGoal = voters.count == 1 ? .none : account.rules.goal
    try await wish(
      ShardWish(
        account: "\(account.id)", voters: voters.map { "\($0.node)" }, goal: goal.rawValue,
        learners: learners.map { "\($0)" }), of: account.id)
  }

  /// Asks whoever leads the account to give it to `node`.
  func handOver(_ id: AccountID, to node: NodeID) async throws(NodeError) {
    try await wish(ShardWish(account: "\(id)", successor: "\(node)"), of: id)
  }

  /// Records that each replica lacks, as the primary sees it; nil when it does not answer.
  func lags(of id: AccountID) async -> [NodeID: LogIndex]? {
    if case .here = shards.route(id) { return await shards.lags(id) }
    guard let answer = try? await ask(id, .shardLags, id.bytes), let lags = answer.lags else { return nil }
    return Dictionary(lags.compactMap { name, lag in NodeID(name).map { ($0, lag) } }) { a, _ in a }
  }

  private func wish(_ wish: ShardWish, of id: AccountID) async throws(NodeError) {
    if case .here = shards.route(id) { return try await grant(wish) }
    _ = try await ask(id, .shardWish, ClusterJSON.encode(wish))
  }

  private func ask(_ id: AccountID, _ method: FabricMethod, _ question: [UInt8]) async throws(NodeError) -> ShardAnswer
  {
    guard case .node(let node) = shards.route(id), let record = control.view.with({ $0[node]?.record }),
      let address = SocketAddress(record.fabric)
    else { throw NodeError(.unavailable, "nobody leads the account at this moment") }
    let bytes: [UInt8]
    do throws(FabricError) {
      bytes = try await endpoint.ask(
        node, at: address, method: method.rawValue, question, deadline: configuration.timers.requestTimeout)
    } catch {
      throw NodeError(.unavailable, "\(record.name) does not answer (\(error.message))")
    }
    guard let answer: ShardAnswer = ClusterJSON.decode(bytes) else {
      throw NodeError(.unavailable, "the answer of \(record.name) cannot be read: it runs another release")
    }
    if let refusal = answer.refusal { throw NodeError(.unavailable, refusal) }
    return answer
  }

  // MARK: as primary

  func serveMoves() {
    dispatch.set { handlers in
      handlers.answers[FabricMethod.shardLags.rawValue] = { [weak self] question, _ in
        guard let self, question.count == 16 else { return nil }
        let lags = await self.shards.lags(AccountID(bytes: question))
        return ClusterJSON.encode(
          ShardAnswer(lags: Dictionary(uniqueKeysWithValues: lags.map { ("\($0.key)", $0.value) })))
      }
      handlers.answers[FabricMethod.shardWish.rawValue] = { [weak self] question, _ in
        guard let self, let wish: ShardWish = ClusterJSON.decode(question) else { return nil }
        do throws(NodeError) {
          try await self.grant(wish)
          return ClusterJSON.encode(ShardAnswer())
        } catch {
          return ClusterJSON.encode(ShardAnswer(refusal: error.message))
        }
      }
    }
  }

  private func grant(_ wish: ShardWish) async throws(NodeError) {
    let mistake = NodeError(.invalid, "the request cannot be read")
    guard let id = AccountID(wish.account) else { throw mistake }
    if let successor = wish.successor {
      guard let node = NodeID(successor) else { throw mistake }
      return try await shards.handOver(id, to: node)
    }
    guard let goal = wish.goal.flatMap(SurvivalGoal.init(rawValue:)), let names = wish.voters else { throw mistake }
    let nodes = control.view.with(\.nodes)
    func voters(_ names: [String]) -> [Voter] {
      names.compactMap(NodeID.init(_:)).compactMap { id in nodes[id].map { Voter(node: id, region: $0.record.region) } }
    }
    let set = VoterSet(goal: goal, voters: voters(names))
    guard set.voters.count == names.count else {
      throw NodeError(.unavailable, "not all of the voters are known here yet")
    }
    try await shards.changeVoters(id, to: set, learners: voters(wish.learners ?? []))
  }
}
