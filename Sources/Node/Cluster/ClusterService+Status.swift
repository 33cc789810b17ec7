// What `cluster status` and `what-if` are made from.

import Base
import Control
import ControlStores
import Formats
import Membership
import OpenSSL
import Threads
import UVLoop

extension ClusterService {
  func status() async -> ClusterStatus {
    let controlRoundTrip = await controlRoundTrip()
    let view = control.view.with { $0 }
    let nodes = await nodesNow()
    let material = material.with { $0 }
    let caretaker = view.cluster[Self.caretakerKey].flatMap { entry in
      entry.value.count == 16 ? view[NodeID(bytes: entry.value)]?.record.name : nil
    }
    return ClusterStatus(
      name: material.clusterName, id: material.clusterID.hex, node: configuration.name, nodes: nodes,
      caretaker: caretaker, committedTime: committedTime,
      control: ClusterStatus.Control(
        isManaged: material.control.isManaged, endpoints: material.control.endpoints,
        roundTrip: controlRoundTrip),
      datagramKeyGeneration: material.ring.generation,
      certificateEnds: (try? X509Certificate(pem: material.identity.certificate)).map { $0.notAfter * 1_000_000 },
      lastChange: lastNews)
  }

  /// By region, then name; removed ones only while somebody believes that they live.
  private func nodesNow() async -> [ClusterStatus.Node] {
    let view = control.view.with { $0 }
    let members = Dictionary(uniqueKeysWithValues: await membership.members.map { ($0.node, $0) })
    let counts = view.shards.values.reduce(into: [NodeID: Int]()) { counts, shard in
      for node in Set((shard.record.voters + shard.record.previous + shard.record.learners).map(\.node)) {
        counts[node, default: 0] += 1
      }
    }
    var nodes: [ClusterStatus.Node] = []
    for record in view.nodes.values.map(\.record) {
      var node = await describe(record, members[record.id])
      node.accountsCount = counts[record.id] ?? 0
      if record.state != .removed || node.health == .alive { nodes.append(node) }
    }
    nodes.sort { ($0.record.region, $0.record.name) < ($1.record.region, $1.record.name) }
    return nodes
  }

  private func describe(_ record: NodeRecord, _ member: Member?) async -> ClusterStatus.Node {
    let isSelf = record.id == nodeID
    let health = isSelf ? await membership.ownHealth : member?.health
    return ClusterStatus.Node(
      record: record, health: isSelf ? .alive : member.map { ClusterStatus.Health($0.standing) } ?? .unknown,
      incarnation: isSelf ? await membership.incarnation : member?.incarnation ?? 0,
      roundTrip: member?.roundTrip.map { .nanoseconds($0.smoothed.nanoseconds) },
      loadPermille: Int(health?.loadPermille ?? 0), diskFillPermille: Int(health?.diskFillPermille ?? 0),
      isDegraded: health?.flags.contains(.degraded) ?? false, accountsCount: 0)
  }

  private func controlRoundTrip() async -> Duration? {
    let (store, clock) = (control.store, ContinuousClock())
    let start = clock.now
    return await withTaskGroup(of: Duration?.self) { group in
      group.addTask { (try? await store.entry(Self.ringKey)) == nil ? nil : start.duration(to: clock.now) }
      group.addTask {
        try? await Task.sleep(for: .seconds(1))
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      return first
    }
  }

  // MARK: placement's picture

  var placementPolicy: PlacementPolicy {
    var policy = PlacementPolicy()
    policy.diskFillPermilleMax = configuration.limits.diskFillPermille
    return policy
  }

  func placementNodes() async -> [PlacementNode] {
    let members = Dictionary(uniqueKeysWithValues: await membership.members.map { ($0.node, $0) })
    return await nodesNow().map { node in
      let health: PlacementNode.Health =
        switch node.health {
        case .alive: .alive
        case .suspect: .suspect
        case .dead, .left, .unknown: .dead(since: members[node.record.id]?.since ?? MembershipService.now)
        }
      return PlacementNode(
        id: node.record.id, name: node.record.name, region: node.record.region, zone: node.record.zone,
        state: node.record.state == .draining ? .draining : node.record.state == .removed ? .removed : .active,
        health: health, loadPermille: node.loadPermille, diskFillPermille: node.diskFillPermille,
        accountsCount: node.accountsCount)
    }
  }

  /// Where a new account goes.
  func place(_ options: AccountOptions) async throws(NodeError) -> PlacementChoice {
    var random = SystemRandom()
    let nodes = await placementNodes()
    let rules = rules(options, home: options.home(asked: configuration.region), nodes)
    let regions = Set(nodes.filter { $0.state != .removed }.map(\.region))
    if let home = options.home, !regions.contains(home) {
      throw NodeError(
        .invalid, "the cluster has no region named \(home): choose of \(regions.sorted().joined(separator: ", "))")
    }
    do throws(PlacementError) {
      return try Placement(nodes: nodes, policy: placementPolicy).choose(AccountID(from: &random), rules)
    } catch {
      throw NodeError(.refused, error.message)
    }
  }

  /// What was asked for. Where nothing was, an account survives the loss of a node as soon as three may hold it.
  func rules(_ options: AccountOptions, home: String?, _ nodes: [PlacementNode]) -> PlacementRules {
    var rules = PlacementRules(homeRegion: home, residency: options.residency)
    let eligible = nodes.count { $0.state == .active && !$0.isDead && rules.allows(region: $0.region) }
    rules.goal = options.survive.map(SurvivalGoal.init) ?? (eligible >= 3 ? .node : .none)
    rules.acceptsWritesStop = options.acceptsWritesStop == true
    return rules
  }

  /// The control store behind a loss.
  func controlAfter(_ judged: WhatIf.Control, _ members: ControlMembers) async -> WhatIfReport.Control {
    if await controlRoundTrip() == nil { return .unreachable }
    if members == .elsewhere { return .outside }
    return judged.keepsMajority ? .kept : .lost
  }

  /// Which nodes carry the control store.
  func controlMembers(_ nodes: [PlacementNode]) -> ControlMembers {
    let access = material.with { $0.control }
    guard access.isManaged else { return .elsewhere }
    let carriers = control.view.with { view in
      view.nodes.values.map(\.record).filter { record in
        guard let fabric = SocketAddress(record.fabric) else { return false }
        return access.endpoints.contains(ClusterAddresses.etcd(fabric).client)
      }
    }
    return .nodes(carriers.map(\.id))
  }

  /// `rulesHold`: with the goal that holds, not the one that is wished for, as what-if judges.
  func placedAccounts(_ nodes: [PlacementNode] = [], rulesHold: Bool = true) -> [PlacedAccount] {
    let (accounts, shards) = control.view.with { ($0.accounts, $0.shards) }
    return accounts.values.map(\.record).filter { $0.state == .active }.compactMap { account in
      guard let record = shards[account.id]?.record else { return nil }
      var rules = rules(account.options, home: account.options.home, nodes)
      if rulesHold { rules.goal = record.voterSet.goal }
      return PlacedAccount(
        id: account.id, rules: rules, voters: (record.previousSet ?? record.voterSet).voters,
        nextVoters: record.previousSet == nil ? nil : record.voterSet.voters, learners: record.learners.map(\.node),
        primary: record.primary, goalHeld: (record.previousSet ?? record.voterSet).goal)
    }
  }
}

extension ClusterStatus.Health {
  init(_ standing: Member.Standing) {
    self =
      switch standing {
      case .alive: .alive
      case .suspect: .suspect
      case .dead: .dead
      case .left: .left
      }
  }
}

extension SurvivalGoal {
  init(_ survival: Survival) {
    self =
      switch survival {
      case .none: .none
      case .node: .node
      case .region: .region
      }
  }
}

extension Survival {
  init(_ goal: SurvivalGoal) {
    self =
      switch goal {
      case .none: .none
      case .node: .node
      case .region: .region
      }
  }
}

extension AccountOptions {
  /// Where nothing is said, at home where it was asked for, unless it may not lie there.
  func home(asked region: String) -> String {
    home ?? (residency.isEmpty || residency.contains(region) ? region : residency[0])
  }
}
