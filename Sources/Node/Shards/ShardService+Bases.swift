// A replica's way into its log: what stands on this node's disk, or a base that another node sends.

import Base
import Control
import Formats
import Logging
import Replication

extension ShardService {
  /// Looks where the log stands; without one, a base comes first.
  func load(_ replica: ShardReplica) async {
    let account = replica.account
    defer { replica.isLoading = false }
    while replicas[account] === replica, replica.record?.names(setup.node) == true {
      do {
        if let standing = try await setup.engine.replicaStanding(account) { return begin(replica, standing) }
      } catch {
        logger.error("a log cannot be opened", metadata: ["shard": "\(account)", "reason": "\(error)"])
        try? await Task.sleep(for: .seconds(1))
        continue
      }
      await fetchFirstBase(replica)
    }
  }

  private func begin(_ replica: ShardReplica, _ standing: ReplicaStanding) {
    guard replica.driver == nil else { return }
    replica.handed = standing.tail.last?.header.index ?? standing.committed.index
    replica.driver = ReplicationDriver(
      ReplicaMachine(
        node: setup.node, account: replica.account, configuration: setup.replication, standing: standing))
    for node in replica.peers(but: setup.node) where linesUp.contains(node) { step(replica, .peerUp(node)) }
    let early = replica.early
    replica.early = []
    for event in early { step(replica, event) }
  }

  /// Whoever leads has the account; until somebody does there is nothing to fetch.
  private func fetchFirstBase(_ replica: ShardReplica) async {
    if let source = replica.record?.primary, source != setup.node {
      do {
        if try await setup.bases?.fetch(replica.account, source) != nil { return }
      } catch {
        logger.warning(
          "a base cannot be fetched",
          metadata: ["shard": "\(replica.account)", "node": "\(source)", "reason": "\(error)"])
      }
    }
    try? await Task.sleep(for: .milliseconds(100))
  }

  /// The primary's log no longer reaches back to where this replica's ends.
  func fetchBase(_ replica: ShardReplica, from node: NodeID) {
    guard let bases = setup.bases, !replica.isFetching else { return }
    let account = replica.account
    replica.isFetching = true
    Task {
      defer { replica.isFetching = false }
      while self.replicas[account] === replica, replica.record?.primary == node {
        do {
          if try await bases.fetch(account, node) != nil, let standing = try await setup.engine.replicaStanding(account)
          {
            replica.handed = standing.tail.last?.header.index ?? standing.committed.index
            return self.step(replica, .rebased(standing))
          }
        } catch {
          self.logger.warning("a base cannot be fetched", metadata: ["shard": "\(account)", "reason": "\(error)"])
        }
        try? await Task.sleep(for: .milliseconds(200))
      }
    }
  }

  /// Bytes and keys of these are wanted before their records may be stored.
  func demand(_ replica: ShardReplica, _ ids: [RecordingID], from node: NodeID) {
    guard let recordings = setup.recordings else { return }
    let account = replica.account
    Task {
      while self.replicas[account] === replica {
        do {
          try await recordings.fetch(account, ids, node)
          return self.step(replica, .available(ids))
        } catch {
          self.logger.warning("recordings cannot be fetched", metadata: ["shard": "\(account)", "reason": "\(error)"])
          try? await Task.sleep(for: .milliseconds(200))
        }
      }
    }
  }
}
