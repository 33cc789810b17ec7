// Makes certificates for the nodes of a cluster, with the authorities that only an issuer has.

import Base
import OpenSSL

struct ClusterIssuer {
  private let fabric: X509Authority
  private let etcdClients: X509Authority?
  private let etcdPeers: X509Authority?
  private let cluster: String

  /// Nil for a node that is no issuer.
  init?(_ material: ClusterMaterial) throws(X509Error) {
    guard let authorities = material.authorities else { return nil }
    cluster = material.clusterName
    fabric = try X509Authority(
      certificate: X509Certificate(pem: material.authority), key: X509Key(pem: authorities.fabricKey))
    etcdClients = try Self.authority(authorities.etcdClients)
    etcdPeers = try Self.authority(authorities.etcdPeers)
  }

  private static func authority(_ pair: ClusterMaterial.Pair?) throws(X509Error) -> X509Authority? {
    guard let pair else { return nil }
    return try X509Authority(certificate: X509Certificate(pem: pair.certificate), key: X509Key(pem: pair.key))
  }

  /// SHA-256 of the fabric's authority.
  var pin: [UInt8] { fabric.certificate.fingerprint }

  /// `hosts`: by what clients may know the node's API and its member of etcd.
  func issue(
    _ requests: CertificateRequests, to id: NodeID, region: String, hosts: [String], at now: UnixMicroseconds,
    life: Duration
  ) throws(X509Error) -> IssuedCertificates {
    let identity = try X509Identity(cluster: cluster, region: region, id: id, role: .node)
    let begin = now / 1_000_000 - 300
    let validity = begin...(begin + 300 + max(life.components.seconds, 60))
    let name = "komora-" + String("\(id)".prefix(12))
    let known = hosts + ["localhost"]
    return IssuedCertificates(
      fabric: try fabric.issue(requests.fabric, for: identity, validity: validity).pem,
      api: try fabric.issue(requests.api, name: name, usage: .server, hosts: known, validity: validity).pem,
      controlClient: try etcdClients?.issue(
        requests.controlClient, name: name, usage: .client, hosts: [], validity: validity
      ).pem,
      etcdServer: try etcdClients?.issue(
        requests.etcdServer, name: name, usage: .server, hosts: known, validity: validity
      ).pem,
      etcdPeer: try etcdPeers?.issue(
        requests.etcdPeer, name: name, usage: .server, hosts: known, validity: validity
      ).pem, etcdPeerAuthority: etcdPeers?.certificate.pem)
  }
}

extension ClusterIssuer {
  /// For a program that sends account requests: the role `client`.
  func issueClient(
    _ request: String, region: String, id: NodeID, at now: UnixMicroseconds, life: Duration
  ) throws(X509Error) -> String {
    let identity = try X509Identity(cluster: cluster, region: region, id: id, role: .client)
    let begin = now / 1_000_000 - 300
    return try fabric.issue(request, for: identity, validity: begin...(begin + 300 + max(life.components.seconds, 60)))
      .pem
  }
}

extension X509Authority {
  var pair: ClusterMaterial.Pair { ClusterMaterial.Pair(certificate: certificate.pem, key: key.pem) }
}
