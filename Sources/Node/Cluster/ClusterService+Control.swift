// The members of a managed etcd follow the cluster's nodes: one, three or five of them, spread over the regions.
//
// The caretaker takes one step at a time, each planned on what etcd says of itself; a node is told over the fabric to
// write its member's files. Every node learns the members' addresses from the control store itself.

import Base
import ControlStores
import Disk
import Fabric
import Formats
import Logging
import Membership
import Threads
import UVLoop

extension ClusterService {
  static let endpointsKey = ControlKeys.cluster + "endpoints"

  func tendControlMembers() async {
    let material = material.with { $0 }
    guard material.control.isManaged else { return }
    do {
      let etcd = try await blocking { [configuration] in try EtcdFiles.client(material, configuration, RealDisk()) }
      let members = try EtcdMembers(etcd)
      do {
        try await tend(members)
      } catch {
        await members.close()
        throw error
      }
      await members.close()
    } catch {
      logger.info("control members", metadata: ["reason": "\(error)"])
    }
  }

  private func tend(_ members: EtcdMembers) async throws {
    let views = try await members.survey()
    let nodes = await memberNodes()
    // One that was added and never started may not have heard of it.
    for view in views where !view.member.isStarted {
      if let node = nodes.first(where: { view.member.peerURLs.contains($0.peerURL) && $0.isAlive }) {
        try await tell(node, view.member.id, views.map(\.member))
      }
    }
    switch EtcdMemberPlan.next(nodes, views) {
    case .add(let node):
      let added = try await members.add(peerURL: node.peerURL)
      logger.notice("control member added", metadata: ["node": "\(node.id)"])
      try await tell(node, added.member.id, added.all)
    case .promote(let id):
      try await members.promote(id)
      logger.notice("control member votes", metadata: ["member": "\(String(id, radix: 16))"])
    case .remove(let id):
      try await members.remove(id)
      let urls = views.first { $0.member.id == id }?.member.peerURLs ?? []
      if let node = nodes.first(where: { urls.contains($0.peerURL) && $0.isAlive }) {
        // A member that was removed ends by itself; untold, its unit would start it again and again.
        try await tell(node, EtcdFiles.Membership(member: id, cluster: []))
      }
      logger.notice("control member removed", metadata: ["member": "\(String(id, radix: 16))"])
    case nil: break
    }
    try await publishEndpoints(try await members.list())
  }

  private func memberNodes() async -> [EtcdMemberNode] {
    let alive = Set(await membership.members.filter { $0.standing == .alive }.map(\.node))
    return control.view.with { view in
      view.nodes.values.map(\.record).filter { $0.state == .active || $0.state == .draining }.compactMap { record in
        guard let fabric = SocketAddress(record.fabric) else { return nil }
        let urls = ClusterAddresses.etcd(fabric)
        return EtcdMemberNode(
          id: "\(record.id)", region: record.region, zone: record.zone, clientURL: urls.client, peerURL: urls.peer,
          isAlive: record.id == nodeID || alive.contains(record.id))
      }
    }
  }

  /// So that the node starts its member. Told twice, it writes the same.
  private func tell(_ node: EtcdMemberNode, _ member: UInt64, _ all: [EtcdMember]) async throws {
    let cluster = EtcdMemberConfiguration.initialCluster(all, adding: member, named: node.id)
    try await tell(
      node, EtcdFiles.Membership(member: member, cluster: cluster.map { .init(name: $0.name, url: $0.peerURL) }))
  }

  private func tell(_ node: EtcdMemberNode, _ told: EtcdFiles.Membership) async throws {
    guard let id = NodeID(node.id) else { return }
    if id == nodeID { return try await startMember(told) }
    guard let record = control.view.with({ $0[id]?.record }), let address = SocketAddress(record.fabric) else { return }
    _ = try await endpoint.ask(
      id, at: address, method: FabricMethod.controlMember.rawValue, ClusterJSON.encode(told),
      deadline: configuration.fabric.questionTimeout)
  }

  /// A member of etcd is known by its address: a node that carries one keeps it.
  func checkMember() async throws(NodeError) {
    let (configuration, own) = (configuration, addresses.etcdPeer)
    let stored: EtcdFiles.Membership?
    do {
      stored = try await blocking { try EtcdFiles.membership(configuration, RealDisk()) }
    } catch {
      throw NodeError(describing: error)
    }
    guard let url = stored?.cluster.last(where: { $0.name == "\(nodeID)" })?.url, url != "https://" + own else {
      return
    }
    throw NodeError(
      .refused,
      "this node carries a member of etcd at \(url), so its fabric's address stays: put listen.fabric and "
        + "cluster.advertise back, or remove the node and join it again as a new one")
  }

  func startMember(_ told: EtcdFiles.Membership) async throws {
    let (material, configuration, node) = (material.with { $0 }, configuration, nodeID)
    if told.cluster.isEmpty { return try await blocking { try EtcdFiles.removeMember(configuration, RealDisk()) } }
    let isMember = try await blocking {
      try EtcdFiles.writeMember(material, configuration, RealDisk(), node: node, membership: told)
    }
    guard isMember else { throw NodeError(.refused, "this node has no certificates for a member of etcd") }
  }

  /// Voters only: a learner answers no client.
  private func publishEndpoints(_ members: [EtcdMember]) async throws {
    let urls = members.filter { !$0.isLearner && $0.isStarted }.flatMap(\.clientURLs).sorted()
    guard !urls.isEmpty else { return }
    let value = Array(urls.joined(separator: "\n").utf8)
    try await control.change { view throws(NodeError) in
      PlannedChange(
        changes: view.cluster[Self.endpointsKey]?.value == value ? [] : [.put(Self.endpointsKey, value)], value: ())
    }
  }

  /// Takes over where the members of the control store are.
  func takeEndpoints() async {
    guard let value = control.view.with({ $0.cluster[Self.endpointsKey]?.value }) else { return }
    let urls = String(decoding: value, as: UTF8.self).split(separator: "\n").map(String.init)
    guard !urls.isEmpty, urls != material.with({ $0.control.endpoints }), material.with({ $0.control.isManaged }) else {
      return
    }
    do {
      try (control.store as? EtcdControlStore)?.use(endpoints: urls)
      try await changeMaterial { $0.control.endpoints = urls }
    } catch {
      logger.warning("control store's addresses not taken over", metadata: ["reason": "\(error)"])
    }
  }
}
