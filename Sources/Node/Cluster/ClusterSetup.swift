// Founding a cluster and joining one: what happens once, while the node's daemon does not run or before it is started
// again. Both end in the node's cluster file; until that file is in place nothing has changed, so both can be repeated.

import AtRest
package import Base
import Disk
import Fabric
package import Formats
import OpenSSL
import ShardStore
import Threads
import UVLoop

package enum ClusterSetup {
  package struct Report: Sendable, Equatable {
    package var cluster: String
    package var nodeID: NodeID
    package var fabric: String
    package var url: String
    /// PEM file of the authority that clients trust.
    package var authorityPath: String
    package var controlEndpoints: [String]
    package var isManaged: Bool
    /// False: it had happened before, and nothing was changed.
    package var isNew: Bool
  }

  private static let authorityLife: Int64 = 20 * 365 * 86_400

  // MARK: founding

  /// Makes the authorities, keys and certificates of a new cluster with this node as its first and its issuer.
  package static func found(_ configuration: NodeConfiguration) async throws(NodeError) -> Report {
    try await run { try makeCluster(configuration, nil) }
  }

  /// The same from a recovery kit: this node becomes the issuer of a cluster that exists.
  package static func recover(
    _ configuration: NodeConfiguration, kit contents: ClusterContents
  ) async throws(NodeError) -> Report {
    try await run { try makeCluster(configuration, contents) }
  }

  private static func run(_ body: @escaping @Sendable () throws -> Report) async throws(NodeError) -> Report {
    do {
      return try await blocking(body)
    } catch {
      throw NodeError(describing: error)
    }
  }

  private static func makeCluster(_ configuration: NodeConfiguration, _ kit: ClusterContents?) throws -> Report {
    guard configuration.control.engine == .etcd else {
      throw NodeError(
        .invalid,
        "a cluster needs [control] engine = \"etcd\", with managed = true or the endpoints of an etcd: "
          + "write that into the configuration first")
    }
    let place = try Place(configuration)
    if let present = try place.material() { return try place.report(present, isNew: false) }
    let now = SystemClock().now
    let material = try kit.map { try Self.material(from: $0, place, now) } ?? Self.material(place, now)
    try place.store(material, isFounder: kit == nil)
    return try place.report(material, isNew: true)
  }

  private static func material(_ place: Place, _ now: UnixMicroseconds) throws -> ClusterMaterial {
    let validity = (now / 1_000_000 - 300)...(now / 1_000_000 + authorityLife)
    let name = place.configuration.cluster.name
    let fabric = try X509Authority.make(name: "Komora \(name) fabric", validity: validity)
    let isManaged = place.configuration.control.isManaged
    var authorities = ClusterMaterial.Authorities(fabricKey: fabric.key.pem)
    if isManaged {
      authorities.etcdClients = try X509Authority.make(name: "Komora \(name) etcd", kind: .p256, validity: validity)
        .pair
      authorities.etcdPeers = try X509Authority.make(
        name: "Komora \(name) etcd peers", kind: .p256, validity: validity
      ).pair
    }
    return try complete(
      place, now, authority: fabric.certificate.pem, authorities, clusterName: name,
      clusterID: SystemRandom.bytes(16), controlRoot: SecretBytes(SystemRandom.bytes(32)), ring: DatagramRing(at: now),
      endpoints: nil)
  }

  private static func material(
    from kit: ClusterContents, _ place: Place, _ now: UnixMicroseconds
  ) throws -> ClusterMaterial {
    guard let authorities = try kit.authorities() else {
      throw NodeError(.invalid, "the recovery kit has no authorities: it is not one of `komora cluster recovery-kit`")
    }
    return try complete(
      place, now, authority: try kit.text(.authority), authorities, clusterName: try kit.text(.clusterName),
      clusterID: try kit.bytes(.clusterID, count: 16), controlRoot: SecretBytes(try kit.bytes(.controlRoot, count: 32)),
      ring: DatagramRing(try DatagramRingContents(try kit.bytes(.ring))),
      endpoints: try kit.text(.controlEndpoints).split(separator: "\n").map(String.init))
  }

  /// Adds what belongs to this node: its own keys and certificates, and its way to the control store.
  private static func complete(
    _ place: Place, _ now: UnixMicroseconds, authority: String, _ authorities: ClusterMaterial.Authorities,
    clusterName: String, clusterID: [UInt8], controlRoot: SecretBytes, ring: DatagramRing, endpoints: [String]?
  ) throws -> ClusterMaterial {
    let keys = OwnKeys()
    let control = place.configuration.control
    let own = ["https://" + place.addresses.etcdClient]
    var material = ClusterMaterial(
      clusterName: clusterName, clusterID: clusterID, controlRoot: controlRoot, authority: authority,
      identity: .init(certificate: "", key: keys.fabric), api: nil, ring: ring,
      control: .init(
        endpoints: control.isManaged ? endpoints ?? own : control.endpoints,
        authority: authorities.etcdClients?.certificate ?? "", client: .init(certificate: "", key: keys.api),
        isManaged: control.isManaged),
      authorities: authorities, etcdMember: nil)
    guard let issuer = try ClusterIssuer(material) else { preconditionFailure("a founder is an issuer") }
    let issued = try issuer.issue(
      keys.requests, to: place.nodeID, region: place.configuration.region, hosts: place.addresses.hosts, at: now,
      life: place.configuration.fabric.certificateLife)
    material.take(issued, keys)
    if !control.isManaged { material.control = try place.outsideControl() }
    return material
  }

  // MARK: joining

  /// Asks the cluster to let this node in, once, with a join token.
  package static func join(
    _ configuration: NodeConfiguration, with invitation: Invitation
  ) async throws(NodeError) -> Report {
    do {
      let place = try await blocking { try Place(configuration) }
      try place.check(invitation)
      if let present = try await blocking({ try place.material() }) {
        guard present.clusterName == invitation.cluster else {
          throw NodeError(.refused, "this node belongs to the cluster \(present.clusterName) already")
        }
        return try place.report(present, isNew: false)
      }
      let keys = OwnKeys()
      let request = JoinRequest(
        invitation: invitation.id, secret: invitation.secret, node: "\(place.nodeID)", name: configuration.name,
        region: configuration.region, zone: configuration.zone, fabric: "\(place.addresses.fabric)",
        url: place.addresses.url, requests: keys.requests)
      let grant = try await ask(invitation, request, configuration)
      let material = try ClusterMaterial(grant, keys, outside: grant.isManaged ? nil : try place.outsideControl())
      try await blocking { try place.store(material, isFounder: false) }
      return try place.report(material, isNew: true)
    } catch {
      throw NodeError(describing: error)
    }
  }

  private static func ask(
    _ invitation: Invitation, _ request: JoinRequest, _ configuration: NodeConfiguration
  ) async throws -> JoinGrant {
    let loop = UVLoop(name: "join")
    defer { Thread.stop(loop) }
    var failure = NodeError(.invalid, "the join token names no address")
    for text in invitation.addresses + configuration.cluster.seeds where !text.isEmpty {
      guard let address = SocketAddress(text) else { continue }
      do throws(FabricError) {
        let answer = try await FabricJoiner.ask(
          at: address, on: loop, pin: [UInt8](hex: invitation.pin) ?? [], cluster: invitation.cluster,
          question: ClusterJSON.encode(request), deadline: configuration.fabric.questionTimeout * 2)
        guard let decoded: JoinAnswer = ClusterJSON.decode(answer) else {
          throw FabricError(.refused, "the answer cannot be read: the cluster runs another release")
        }
        if let grant = decoded.grant { return grant }
        failure = NodeError(.refused, decoded.refusal ?? "the cluster refused without a reason")
      } catch {
        failure = NodeError(
          error.code == .refused ? .refused : .unavailable, "\(text) does not let this node in: \(error.message)")
      }
    }
    throw failure
  }
}
