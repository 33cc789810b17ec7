// What a joining node asks and what it is given; and a certificate's renewal, which is a part of the same.
//
// A request holds keys of the asker's own making, as certificate requests. Which names the certificates carry is the
// issuer's decision: they follow from the invitation and from the node's record, never from what a request says.

import Base
import Foundation
import OpenSSL

/// Certificate requests, PEM.
struct CertificateRequests: Codable, Sendable {
  var fabric: String
  var api: String
  var controlClient: String
  var etcdServer: String
  var etcdPeer: String
}

/// Certificates, PEM. Those for etcd are there when the cluster runs its own.
struct IssuedCertificates: Codable {
  var fabric: String
  var api: String
  var controlClient: String?
  var etcdServer: String?
  var etcdPeer: String?
  var etcdPeerAuthority: String?
}

/// The keys behind requests, until the certificates come.
struct OwnKeys: Sendable {
  let fabric, api, controlClient, etcdServer, etcdPeer: SecretBytes
  let requests: CertificateRequests

  init() {
    let fabric = X509Key.generate(.ed25519)
    // Clients of all kinds meet these: not every one knows Ed25519.
    let others = (0..<4).map { _ in X509Key.generate(.p256) }
    self.fabric = fabric.pem
    api = others[0].pem
    controlClient = others[1].pem
    etcdServer = others[2].pem
    etcdPeer = others[3].pem
    requests = CertificateRequests(
      fabric: X509Request.make(fabric), api: X509Request.make(others[0]), controlClient: X509Request.make(others[1]),
      etcdServer: X509Request.make(others[2]), etcdPeer: X509Request.make(others[3]))
  }
}

struct JoinRequest: Codable {
  static let bytesMax = 64 << 10
  var version = 1
  var invitation: String
  var secret: String
  var node: String
  var name: String
  var region: String
  var zone: String
  var fabric: String
  var url: String
  var requests: CertificateRequests
}

struct JoinAnswer: Codable {
  /// In words for the operator, when it was refused.
  var refusal: String?
  var grant: JoinGrant?
}

struct JoinGrant: Codable {
  var cluster: String
  var clusterID: String
  var controlRoot: String
  var authority: String
  var certificates: IssuedCertificates
  var ring: String
  var controlEndpoints: [String]
  var controlAuthority: String
  var isManaged: Bool
  /// For an issuer only: `ClusterContents` with the authorities, hexadecimal.
  var authorities: String?
}

enum ClusterJSON {
  static func encode(_ value: some Encodable) -> [UInt8] {
    let encoder = JSONEncoder()
    encoder.outputFormatting = .sortedKeys
    return Array((try? encoder.encode(value)) ?? Data())
  }

  static func decode<T: Decodable>(_ bytes: [UInt8], as _: T.Type = T.self) -> T? {
    try? JSONDecoder().decode(T.self, from: Data(bytes))
  }
}
