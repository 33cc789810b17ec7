// Where a node keeps what makes it one of a cluster, opened without the daemon.

import AtRest
import Base
import Disk
import Formats
import OpenSSL

extension ClusterSetup {
  struct Place: Sendable {
    let configuration: NodeConfiguration
    let addresses: ClusterAddresses
    let nodeID: NodeID
    private let kek: any KeyEncryption
    private let disk = RealDisk()

    /// Makes directories, the key-encryption key and the node's id where they are missing.
    init(_ configuration: NodeConfiguration) throws {
      self.configuration = configuration
      addresses = try ClusterAddresses(configuration)
      let paths = configuration.paths
      for path in [paths.data, paths.archive, paths.temporary, paths.keys] { try disk.makeDurableDirectory(path) }
      let hasRun = try disk.info(paths.data + "/control.sqlite") != nil
      let isJoined = try disk.info(ClusterMaterial.path(paths)) != nil
      kek = try KeyEncryptionSource.open(
        configuration.keys, directory: paths.keys, disk: disk, creating: !hasRun && !isJoined)
      nodeID = try NodeService.nodeID(disk, paths.data + "/node")
    }

    func material() throws -> ClusterMaterial? {
      try ClusterMaterial.load(disk, ClusterMaterial.path(configuration.paths), kek)
    }

    var authorityPath: String { configuration.paths.keys + "/ca.pem" }

    /// The authority first: it is public, and clients want it as soon as the cluster file is there.
    func store(_ material: ClusterMaterial, isFounder: Bool) throws {
      try disk.replaceFile(authorityPath, Array(material.authority.utf8))
      if isFounder, material.control.isManaged {
        let peer = EtcdFiles.Membership.Peer(name: "\(nodeID)", url: "https://" + addresses.etcdPeer)
        try EtcdFiles.writeMember(
          material, configuration, disk, node: nodeID, membership: .init(member: nil, cluster: [peer]))
      }
      try material.store(disk, ClusterMaterial.path(configuration.paths), kek)
    }

    func check(_ invitation: Invitation) throws {
      let own = "node.name = \"\(configuration.name)\", node.region = \"\(configuration.region)\""
      guard invitation.name == configuration.name, invitation.region == configuration.region else {
        throw NodeError(
          .refused,
          "the join token is for \(invitation.name) in \(invitation.region), the configuration says \(own): "
            + "use the one that belongs to it")
      }
      let accounts = configuration.paths.data + "/accounts"
      if try material() == nil, try disk.info(accounts) != nil, try !disk.list(accounts).isEmpty {
        throw NodeError(.refused, "\(accounts) holds accounts: only an empty node can join a cluster")
      }
    }

    /// The outside etcd that the configuration names.
    func outsideControl() throws -> ClusterMaterial.ControlAccess {
      let control = configuration.control
      guard !control.endpoints.isEmpty, let ca = control.authority, let certificate = control.certificate,
        let key = control.key
      else {
        throw NodeError(
          .invalid,
          "the cluster's etcd stands outside: [control] wants endpoints, ca, cert and key, as on its other nodes")
      }
      func text(_ path: String) throws -> String {
        String(decoding: try disk.readAll(path, limit: 64 << 10), as: UTF8.self)
      }
      return ClusterMaterial.ControlAccess(
        endpoints: control.endpoints, authority: try text(ca),
        client: .init(certificate: try text(certificate), key: SecretBytes(try disk.readAll(key, limit: 64 << 10))),
        isManaged: false)
    }

    func report(_ material: ClusterMaterial, isNew: Bool) throws -> Report {
      Report(
        cluster: material.clusterName, nodeID: nodeID, fabric: "\(addresses.fabric)", url: addresses.url,
        authorityPath: authorityPath, controlEndpoints: material.control.endpoints,
        isManaged: material.control.isManaged, isNew: isNew)
    }
  }
}

extension ClusterMaterial {
  /// Takes over what was issued for `keys`.
  mutating func take(_ issued: IssuedCertificates, _ keys: OwnKeys) {
    identity = Pair(certificate: issued.fabric, key: keys.fabric)
    api = Pair(certificate: issued.api, key: keys.api)
    if let client = issued.controlClient { control.client = Pair(certificate: client, key: keys.controlClient) }
    if let server = issued.etcdServer, let peer = issued.etcdPeer, let authority = issued.etcdPeerAuthority {
      etcdMember = EtcdMember(
        server: Pair(certificate: server, key: keys.etcdServer),
        peer: Pair(certificate: peer, key: keys.etcdPeer), peerAuthority: authority)
    }
  }

  /// What a joining node was given. `outside`: its own way to a control store that the cluster does not run.
  init(_ grant: JoinGrant, _ keys: OwnKeys, outside: ControlAccess?) throws {
    let mistake = NodeError(.refused, "the cluster's answer cannot be read: it runs another release")
    guard let id = [UInt8](hex: grant.clusterID), id.count == 16, let root = [UInt8](hex: grant.controlRoot),
      root.count == 32, let ring = [UInt8](hex: grant.ring)
    else { throw mistake }
    var authorities: Authorities?
    if let text = grant.authorities {
      guard let bytes = [UInt8](hex: text) else { throw mistake }
      authorities = try ClusterContents(bytes).authorities()
    }
    self.init(
      clusterName: grant.cluster, clusterID: id, controlRoot: SecretBytes(root), authority: grant.authority,
      identity: Pair(certificate: "", key: keys.fabric), api: nil, ring: DatagramRing(try DatagramRingContents(ring)),
      control: outside
        ?? ControlAccess(
          endpoints: grant.controlEndpoints, authority: grant.controlAuthority,
          client: Pair(certificate: "", key: keys.controlClient), isManaged: true),
      authorities: authorities, etcdMember: nil)
    take(grant.certificates, keys)
  }
}
