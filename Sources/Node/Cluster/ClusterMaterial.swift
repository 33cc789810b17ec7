// What makes this node one of a cluster, and the file in which it keeps that: identities, keys, the way to the control
// store; with an issuer, the authorities too.
//
// The file is sealed under the node's key-encryption key (Formats.docc/cluster.md) and replaced whole, so it is always
// that of one moment. A node without it stands alone.

import AtRest
import Base
import Disk
import Formats
import OpenSSL

struct ClusterMaterial: Sendable {
  /// A certificate and its key, PEM.
  struct Pair: Sendable {
    var certificate: String
    var key: SecretBytes
  }

  struct ControlAccess: Sendable {
    var endpoints: [String]
    var authority: String
    var client: Pair
    var isManaged: Bool
  }

  /// What only an issuer has.
  struct Authorities: Sendable {
    var fabricKey: SecretBytes
    var etcdClients: Pair?
    var etcdPeers: Pair?
  }

  struct EtcdMember: Sendable {
    var server: Pair
    var peer: Pair
    /// What it knows other members by.
    var peerAuthority: String
  }

  var clusterName: String
  var clusterID: [UInt8]
  var controlRoot: SecretBytes
  /// Of the fabric.
  var authority: String
  var identity: Pair
  var api: Pair?
  var ring: DatagramRing
  var control: ControlAccess
  var authorities: Authorities?
  var etcdMember: EtcdMember?

  var credentials: TLSCredentials {
    TLSCredentials(authorities: [authority], certificate: identity.certificate, key: identity.key)
  }

  // MARK: file

  static func path(_ paths: NodeConfiguration.Paths) -> String { paths.keys + "/cluster" }
  private static let wrapID = AccountID(bits: 1)

  /// Nil for a node that stands alone.
  static func load(_ disk: any Disk, _ path: String, _ kek: any KeyEncryption) throws -> ClusterMaterial? {
    guard try disk.info(path) != nil else { return nil }
    let bytes = try disk.readAll(path, limit: ClusterFile.byteCountMax)
    do {
      let file = try ClusterFile(bytes)
      let key = try kek.unwrap(file.wrapped, for: wrapID)
      guard let plain = AESGCM(key: key).open(file.sealed, nonce: file.nonce, aad: ClusterFile.associated) else {
        throw FormatError(.damaged, "the seal does not open", at: 8)
      }
      return try ClusterMaterial(try ClusterContents(plain))
    } catch let error as AtRestError where error.code == .wrongKey {
      throw NodeError(
        .refused, "\(path) was sealed under another key-encryption key than \(kek.id): put back the one it belongs to")
    } catch let error as FormatError where error.code == .version {
      throw NodeError(.refused, "\(path) was written by a newer release (\(error)): start that one")
    } catch {
      throw NodeError(.io, "\(path) is damaged (\(error)): put its copy back, or join the cluster again as a new node")
    }
  }

  func store(_ disk: any Disk, _ path: String, _ kek: any KeyEncryption) throws {
    let key = SecretBytes(SystemRandom.bytes(32))
    let nonce = SystemRandom.bytes(AESGCM.nonceBytes)
    let sealed = AESGCM(key: key).seal(contents.encode(), nonce: nonce, aad: ClusterFile.associated)
    let file = ClusterFile(wrapped: try kek.wrap(key, for: Self.wrapID), nonce: nonce, sealed: sealed)
    try disk.replaceFile(path, file.encode())
  }

  // MARK: contents

  private var contents: ClusterContents {
    var contents = recoveryContents(withAuthorities: authorities)
    contents.put(identity, .certificate, .key)
    contents.put(api, .apiCertificate, .apiKey)
    contents.put(control.client, .controlCertificate, .controlKey)
    contents.put(etcdMember?.server, .etcdServerCertificate, .etcdServerKey)
    contents.put(etcdMember?.peer, .etcdPeerCertificate, .etcdPeerKey)
    contents.fields[.etcdPeerTrust] = etcdMember.map { Array($0.peerAuthority.utf8) }
    return contents
  }

  /// What belongs to the cluster and not to this node.
  func recoveryContents(withAuthorities authorities: Authorities?) -> ClusterContents {
    var contents = ClusterContents()
    contents.fields[.clusterName] = Array(clusterName.utf8)
    contents.fields[.clusterID] = clusterID
    contents.fields[.controlRoot] = controlRoot.copy
    contents.fields[.authority] = Array(authority.utf8)
    contents.fields[.ring] = ring.contents.encode()
    contents.fields[.controlEndpoints] = Array(control.endpoints.joined(separator: "\n").utf8)
    contents.fields[.controlAuthority] = Array(control.authority.utf8)
    contents.fields[.controlManaged] = [control.isManaged ? 1 : 0]
    guard let authorities else { return contents }
    contents.fields[.authorityKey] = authorities.fabricKey.copy
    contents.put(authorities.etcdClients, .etcdClientAuthority, .etcdClientAuthorityKey)
    contents.put(authorities.etcdPeers, .etcdPeerAuthority, .etcdPeerAuthorityKey)
    return contents
  }

  init(_ contents: ClusterContents) throws(FormatError) {
    clusterName = try contents.text(.clusterName)
    clusterID = try contents.bytes(.clusterID, count: 16)
    controlRoot = SecretBytes(try contents.bytes(.controlRoot, count: 32))
    authority = try contents.text(.authority)
    identity = try contents.pair(.certificate, .key)
    api = try contents.optionalPair(.apiCertificate, .apiKey)
    ring = DatagramRing(try DatagramRingContents(try contents.bytes(.ring)))
    control = ControlAccess(
      endpoints: try contents.text(.controlEndpoints).split(separator: "\n").map(String.init),
      authority: try contents.text(.controlAuthority), client: try contents.pair(.controlCertificate, .controlKey),
      isManaged: try contents.bytes(.controlManaged, count: 1) == [1])
    authorities = try contents.authorities()
    if let server = try contents.optionalPair(.etcdServerCertificate, .etcdServerKey),
      let peer = try contents.optionalPair(.etcdPeerCertificate, .etcdPeerKey)
    {
      etcdMember = EtcdMember(server: server, peer: peer, peerAuthority: try contents.text(.etcdPeerTrust))
    }
  }

  init(
    clusterName: String, clusterID: [UInt8], controlRoot: SecretBytes, authority: String, identity: Pair, api: Pair?,
    ring: DatagramRing, control: ControlAccess, authorities: Authorities?, etcdMember: EtcdMember?
  ) {
    self.clusterName = clusterName
    self.clusterID = clusterID
    self.controlRoot = controlRoot
    self.authority = authority
    self.identity = identity
    self.api = api
    self.ring = ring
    self.control = control
    self.authorities = authorities
    self.etcdMember = etcdMember
  }
}

extension ClusterContents {
  mutating func put(_ pair: ClusterMaterial.Pair?, _ certificate: ClusterField, _ key: ClusterField) {
    guard let pair else { return }
    fields[certificate] = Array(pair.certificate.utf8)
    fields[key] = pair.key.copy
  }

  func bytes(_ field: ClusterField, count: Int? = nil) throws(FormatError) -> [UInt8] {
    guard let bytes = fields[field], count == nil || bytes.count == count else {
      throw FormatError(.damaged, "field \(field.rawValue) is missing or has another length")
    }
    return bytes
  }

  func text(_ field: ClusterField) throws(FormatError) -> String {
    guard let text = String(validating: try bytes(field), as: UTF8.self) else {
      throw FormatError(.damaged, "field \(field.rawValue) is no text")
    }
    return text
  }

  func pair(_ certificate: ClusterField, _ key: ClusterField) throws(FormatError) -> ClusterMaterial.Pair {
    ClusterMaterial.Pair(certificate: try text(certificate), key: SecretBytes(try bytes(key)))
  }

  func optionalPair(_ certificate: ClusterField, _ key: ClusterField) throws(FormatError) -> ClusterMaterial.Pair? {
    fields[certificate] == nil ? nil : try pair(certificate, key)
  }

  func authorities() throws(FormatError) -> ClusterMaterial.Authorities? {
    guard let key = fields[.authorityKey] else { return nil }
    return ClusterMaterial.Authorities(
      fabricKey: SecretBytes(key),
      etcdClients: try optionalPair(.etcdClientAuthority, .etcdClientAuthorityKey),
      etcdPeers: try optionalPair(.etcdPeerAuthority, .etcdPeerAuthorityKey))
  }
}
