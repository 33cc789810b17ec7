// What an administrator does to the cluster's nodes and keys.

import Base
import ControlStores
import Logging
import Threads

extension ClusterService {
  func setDraining(_ name: String, _ isDraining: Bool) async throws(NodeError) -> NodeRecord {
    try await change(name) { record throws(NodeError) in
      guard record.state != .joining else {
        throw NodeError(.refused, "\(record.name) was let in and has not started yet: start it first")
      }
      record.state = isDraining ? .draining : .active
    }
  }

  /// Takes a node out for ever. One that holds accounts goes only when their loss is accepted.
  func remove(_ name: String, acceptingLoss: Bool) async throws(NodeError) -> NodeRecord {
    let own = nodeID
    let others = control.view.with { view in
      view.nodes.values.filter { $0.record.state == .active && $0.record.name != name }.count
    }
    let removed = try await change(name) { [control] record throws(NodeError) in
      guard record.id != own else {
        throw NodeError(.refused, "a node cannot remove itself: ask another one")
      }
      guard others > 0 else { throw NodeError(.refused, "the last node of a cluster is not removed") }
      let held = control.view.with { view in
        view.accounts.values.count { $0.record.primary == record.id && $0.record.state != .deleted }
      }
      guard held == 0 || acceptingLoss else {
        throw NodeError(
          .refused, "\(record.name) holds \(held) accounts: drain it first, or give up what it holds with --accept-loss"
        )
      }
      record.state = .removed
    }
    // It knows the key that the others seal their datagrams with.
    try await wantNewDatagramKey()
    return removed
  }

  private func change(
    _ name: String, _ body: @escaping @Sendable (inout NodeRecord) throws(NodeError) -> Void
  ) async throws(NodeError) -> NodeRecord {
    let record = try await control.change { view throws(NodeError) in
      guard let node = view.node(named: name) else {
        throw NodeError(.notFound, "the cluster has no node named \(name): see `komora cluster status`")
      }
      var record = node.record
      try body(&record)
      let key = ControlKeys.node(record.id)
      return PlannedChange(
        conditions: [ControlCondition(key, at: node.revision)],
        changes: record == node.record ? [] : [.put(key, try ControlKeys.encode(StoredNode(record)))], value: record)
    }
    logger.notice("node changed", metadata: ["name": "\(record.name)", "state": "\(record.state.rawValue)"])
    return record
  }

  /// The caretaker sees it and makes a new key for the datagrams.
  func wantNewDatagramKey() async throws(NodeError) {
    try await control.change { _ throws(NodeError) in
      PlannedChange(changes: [.put(Self.rotationKey, [1])], value: ())
    }
  }
}
