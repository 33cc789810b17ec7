// Accounts of a cluster: the record of their owners, where they stand, and what is left of deleted ones.

package import Base
import Control
import ControlStores
import Formats
import Logging
import ShardStore
import Threads

extension NodeService {
  private static let beginWait = Duration.seconds(20)

  /// Gives an account that lies on this node its first owners, this node as primary, and waits until it serves. What its
  /// log has already belongs to an earlier epoch.
  func beginShard(_ id: AccountID, _ voters: VoterSet) async throws(NodeError) {
    guard let cluster else { return }
    try await putShard(id, voters)
    let route = await cluster.shards.waitForRoute(id, until: .now + Self.beginWait)
    guard case .here = route else {
      throw NodeError(
        .unavailable, "too few of the nodes that are to hold the account answered: look at `komora cluster status`")
    }
  }

  var ownVoter: Voter { Voter(node: nodeID, region: configuration.region) }

  private func putShard(_ id: AccountID, _ voters: VoterSet) async throws(NodeError) {
    let epoch: Epoch
    do {
      let standing = try await engine.standing(id)
      epoch = (standing.tail.last?.header.epoch ?? standing.committed.epoch) + 1
    } catch {
      throw NodeError(describing: error)
    }
    var record = OwnershipRecord(account: id, epoch: epoch, voters: voters)
    record.primary = nodeID
    let put = record
    try await control.change { view throws(NodeError) in
      PlannedChange(
        conditions: [.absent(put.key)], changes: view.shards[id] == nil ? [.put(put.key, put.encode())] : [], value: ())
    }
  }

  /// Accounts that were made while this node stood alone: it is their only voter, until they are given more.
  /// Without the control store the start fails, as it does before: an account that was passed over would not be served.
  func adoptShards(_ cluster: ClusterService) async throws(NodeError) {
    let own = control.view.with { view in
      view.accounts.values.map(\.record).filter {
        $0.state == .active && $0.primary == nodeID && view.shards[$0.id] == nil
      }
    }
    for account in own where engine.hasAccount(account.id) {
      do throws(NodeError) {
        try await putShard(account.id, VoterSet(goal: .none, voters: [ownVoter]))
      } catch {
        guard error.code != .unavailable else { throw error }
        cluster.logger.error(
          "an account is not served", metadata: ["shard": "\(account.id)", "reason": "\(error.message)"])
      }
    }
  }

  // MARK: deleted accounts

  /// Each node removes what it has of accounts that are deleted: those it finds, and those it hears of.
  func watchDeletions(_ cluster: ClusterService) {
    let gone = control.view.with { view in
      engine.accounts().filter { id in
        view.shards[id] == nil && (view[id]?.record.state == .deleted || view[id]?.record.state == .deleting)
      }
    }
    for id in gone { removeReplica(id) }
    control.subscribe { [weak self] event in
      guard let self, case .deleted(let key, _) = event, let id = OwnershipRecord.account(ofKey: key),
        self.engine.hasAccount(id)
      else { return }
      // The record of an account that was not made in the end is gone altogether.
      let state = self.control.view.with { $0[id]?.record.state }
      if state == .deleted || state == .deleting { self.removeReplica(id) }
    }
  }

  private func removeReplica(_ id: AccountID) {
    let (engine, logger) = (engine, Logger(label: "shards"))
    Task {
      do {
        try await engine.removeAccount(id)
      } catch let error as StoreError where error.code == .notFound {
      } catch {
        logger.warning(
          "what is left of a deleted account stays until the next start",
          metadata: ["shard": "\(id)", "reason": "\(error)"])
      }
    }
  }

  // MARK: status

  func status(of record: AccountRecord, in cluster: ClusterService) async -> AccountStatus {
    let placement = await cluster.shards.placement(record.id)
    let nodes = control.view.with(\.nodes)
    func names(_ role: ShardPlacement.Replica.Role) -> [String] {
      placement?.replicas.filter { $0.role == role }.map { nodes[$0.node]?.record.name ?? "\($0.node)" }.sorted() ?? []
    }
    var status = AccountStatus(record: record, primary: names(.primary).first ?? "", standbys: names(.standby))
    status.learners = names(.learner)
    status.epoch = placement?.epoch ?? 0
    if let primary = placement?.primary {
      if primary == nodeID {
        status.position = placement?.committed
      } else if let node = nodes[primary]?.record {
        status.position = await position(of: record.id, at: node)
      }
    }
    return status
  }
}

extension NodeService {
  /// Gives the lead of an account that this node leads to another one of its voters.
  package func handOver(_ id: AccountID, to node: NodeID) async throws(NodeError) {
    guard let cluster else { throw NodeError(.refused, "this node stands alone") }
    try await cluster.shards.handOver(id, to: node)
  }

  /// One line about a shard, for whoever asks why nothing moves.
  package func shardSummary(_ id: AccountID) async -> String {
    guard let cluster else { return "stands alone" }
    return await cluster.shards.summary(id)
  }
}
