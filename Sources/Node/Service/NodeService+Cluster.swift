// The cluster as an administrator sees it through any node.

import AtRest
import Base
import Control
import Disk
import Formats
package import OpenSSL
import Threads

/// What a loss would mean, for the accounts by name.
package struct WhatIfReport: Sendable {
  package var lostNodes: [String]
  /// Of these, the ones that are lost already.
  package var lostAlready: [String]
  package enum Control: String, Sendable {
    case kept, lost
    /// Not reachable now, whatever is lost.
    case unreachable
    /// Stands on other machines, whose loss is not judged here.
    case outside
  }
  package var control: Control
  package var accountsCount: Int
  package var dataLost: [String]
  package var writesStopped: [String]
}

/// What a program needs to send account requests: PEM, and where the nodes are.
package struct ClientCertificate: Sendable {
  package var authority: String
  package var certificate: String
  package var key: SecretBytes
  /// `address:port` of each node's fabric.
  package var nodes: [String]
}

/// What has to move before a node is empty, in words, and what cannot.
package struct DrainReport: Sendable {
  package var node: NodeRecord
  package var accountsCount: Int
  package var moves: [String]
  package var stays: [String]
}

extension NodeService {
  private func joined() throws(NodeError) -> ClusterService {
    guard let cluster else {
      throw NodeError(.refused, "this node stands alone: make it a cluster with `komora cluster init`")
    }
    return cluster
  }

  package func clusterStatus() async throws(NodeError) -> ClusterStatus { await (try joined()).status() }

  /// Returns when this node was removed from its cluster; never for one that stands alone. Ends with the task.
  package func removedFromCluster() async {
    guard let cluster else {
      try? await Task.sleep(for: .seconds(3_000_000_000))
      return
    }
    for await _ in cluster.removal.stream {}
  }

  package func invite(
    name: String, region: String, makesIssuer: Bool, hosts: [String] = []
  ) async throws(NodeError) -> Invitation {
    try await joined().invite(name: name, region: region, makesIssuer: makesIssuer, hosts: hosts)
  }

  /// A certificate with which a program may send account requests. It opens no account: that takes a token.
  package func issueClient(validFor life: Duration) throws(NodeError) -> ClientCertificate {
    let cluster = try joined()
    guard life > .zero, life <= .seconds(366 * 86_400) else {
      throw NodeError(.invalid, "a client's certificate is valid for at most 366 days")
    }
    let material = cluster.material.with { $0 }
    do {
      guard let issuer = try ClusterIssuer(material) else {
        throw NodeError(.refused, "this node makes no certificates: ask an issuer (see `komora cluster status`)")
      }
      let key = X509Key.generate(.p256)
      let certificate = try issuer.issueClient(
        X509Request.make(key), region: configuration.region, id: randomID(), at: now, life: life)
      return ClientCertificate(
        authority: material.authority, certificate: certificate, key: key.pem,
        nodes: control.view.with { view in
          view.nodes.values.map(\.record).filter { $0.state == .active || $0.state == .draining }.map(\.fabric).sorted()
        })
    } catch let error as NodeError {
      throw error
    } catch {
      throw NodeError(.io, "the certificate cannot be made: \(error)")
    }
  }

  package func drain(_ name: String, _ isDraining: Bool) async throws(NodeError) -> DrainReport {
    let cluster = try joined()
    let record = try await cluster.setDraining(name, isDraining)
    let accounts = cluster.placedAccounts().filter { $0.hasReplica(on: record.id) }
    guard isDraining else { return DrainReport(node: record, accountsCount: accounts.count, moves: [], stays: []) }
    var placement = Placement(nodes: await cluster.placementNodes(), policy: cluster.placementPolicy)
    let plan = placement.drain(record.id, accounts)
    let (names, nodes) = control.view.with { view in
      (view.accounts.mapValues(\.record.name), view.nodes.mapValues(\.record.name))
    }
    func named(_ id: AccountID) -> String { names[id] ?? id.description }
    return DrainReport(
      node: record, accountsCount: accounts.count,
      moves: plan.moves.map {
        "\(named($0.account)) to \($0.add.map { nodes[$0] ?? "\($0)" }.joined(separator: ", "))"
      },
      stays: plan.stuck.map { "\(named($0.account)): \($0.reason.message)" })
  }

  package func removeNode(_ name: String, acceptingLoss: Bool) async throws(NodeError) -> NodeRecord {
    try await joined().remove(name, acceptingLoss: acceptingLoss)
  }

  package func rotateDatagramKey() async throws(NodeError) { try await joined().wantNewDatagramKey() }

  package func renewCertificates() async throws(NodeError) { try await joined().renewCertificates() }

  /// - Parameter regions: and `nodes`: names; an unknown one is an error.
  package func whatIf(nodes: [String], regions: [String]) async throws(NodeError) -> WhatIfReport {
    let cluster = try joined()
    let known = await cluster.placementNodes()
    var loss = Loss(regions: Set(regions))
    for name in nodes {
      guard let node = known.first(where: { $0.name == name }) else {
        throw NodeError(.notFound, "the cluster has no node named \(name): see `komora cluster status`")
      }
      loss.nodes.insert(node.id)
    }
    for region in regions where !known.contains(where: { $0.region == region }) {
      throw NodeError(.notFound, "the cluster has no region named \(region): see `komora cluster status`")
    }
    let members = cluster.controlMembers(known)
    let answer = WhatIf(losing: loss, nodes: known, accounts: cluster.placedAccounts(), control: members)
    let names = Dictionary(uniqueKeysWithValues: known.map { ($0.id, $0.name) })
    let accounts = control.view.with { view in view.accounts.mapValues(\.record.name) }
    func named(_ ids: [AccountID]) -> [String] { ids.map { accounts[$0] ?? "\($0)" }.sorted() }
    return WhatIfReport(
      lostNodes: answer.lost.map { names[$0] ?? "\($0)" }.sorted(),
      lostAlready: answer.lostAlready.map { names[$0] ?? "\($0)" }.sorted(),
      control: await cluster.controlAfter(answer.control, members), accountsCount: answer.accounts.count,
      dataLost: named(answer.dataLost), writesStopped: named(answer.writesStopped))
  }

  /// Everything that a new node needs to become the cluster's issuer, sealed for somebody outside.
  package func recoveryKit(_ recipient: RecoveryRecipient) async throws(NodeError) -> [UInt8] {
    let material = try joined().material.with { $0 }
    guard material.authorities != nil else {
      throw NodeError(.refused, "this node has no authorities to save: ask an issuer (see `komora cluster status`)")
    }
    let plain = material.recoveryContents(withAuthorities: material.authorities).encode()
    let target = try recipient.checked()
    do {
      return try await blocking {
        switch target {
        case .age(let text): try Age.encrypt(plain, to: [text])
        case .passphrase(let secret): try Age.encrypt(plain, passphrase: secret)
        }
      }
    } catch {
      throw NodeError(.invalid, "the recovery kit cannot be sealed: \(error)")
    }
  }
}

extension NodeService {
  /// Certificate chain and key for the API and S3 ports, PEM: the files that the configuration names, else what the
  /// cluster has issued.
  package func apiCertificate() throws(NodeError) -> (certificate: [UInt8], key: [UInt8]) {
    let files = configuration.tls
    if let certificate = files.apiCertificate, let key = files.apiKey {
      let disk = RealDisk()
      do throws(DiskError) {
        return (try disk.readAll(certificate, limit: 1 << 20), try disk.readAll(key, limit: 1 << 20))
      } catch {
        throw NodeError(
          .invalid, "the certificate of the API cannot be read (\(error)): see tls.api_cert and tls.api_key")
      }
    }
    guard let pair = cluster?.material.with({ $0.api }) else {
      throw NodeError(.invalid, "tls.api_cert and tls.api_key must name the certificate and the key of the API")
    }
    return (Array(pair.certificate.utf8), pair.key.copy)
  }
}
