// etcd's files on this node: what its client needs, and what a member of the managed cluster needs.
//
// The node only writes them. A unit of its own runs the member, so that it survives the node's end.

import AtRest
import Base
import ControlStores
import Disk
import Foundation
import OpenSSL
import UVLoop

enum EtcdFiles {
  /// What a member was told when it was added; kept so that renewed certificates are written beside the same words.
  struct Membership: Codable {
    struct Peer: Codable {
      var name: String
      var url: String
    }
    /// Nil for the first one.
    var member: UInt64?
    var cluster: [Peer]
  }

  static func memberDirectory(_ configuration: NodeConfiguration) -> String { configuration.paths.data + "/etcd" }
  private static func clientDirectory(_ configuration: NodeConfiguration) -> String {
    configuration.paths.keys + "/etcd-client"
  }
  private static func membershipPath(_ configuration: NodeConfiguration) -> String {
    memberDirectory(configuration) + "/member.json"
  }

  /// How this node speaks to the control store; the client's files are written first.
  static func client(
    _ material: ClusterMaterial, _ configuration: NodeConfiguration, _ disk: any Disk
  ) throws -> EtcdConfiguration {
    let directory = clientDirectory(configuration)
    try disk.makeDurableDirectory(directory)
    let control = material.control
    for (name, bytes) in [
      ("ca.pem", Array(control.authority.utf8)), ("client.pem", Array(control.client.certificate.utf8)),
      ("client.key", control.client.key.copy),
    ] {
      let path = directory + "/" + name
      if try disk.info(path) != nil, try disk.readAll(path, limit: 64 << 10) == bytes { continue }
      try disk.replaceFile(path, bytes)
    }
    var etcd = EtcdConfiguration(
      endpoints: control.endpoints, authorityPath: directory + "/ca.pem", certificatePath: directory + "/client.pem",
      keyPath: directory + "/client.key", prefix: "/komora/\(material.clusterID.hex)/")
    etcd.requestTimeout = configuration.fabric.controlTimeout
    return etcd
  }

  /// Nil when this node carries no member.
  static func membership(_ configuration: NodeConfiguration, _ disk: any Disk) throws -> Membership? {
    let path = membershipPath(configuration)
    guard try disk.info(path) != nil else { return nil }
    guard let stored: Membership = ClusterJSON.decode(try disk.readAll(path, limit: 64 << 10)) else {
      throw NodeError(
        .io, "\(path) cannot be read: remove it together with the directory, and the node from the cluster")
    }
    return stored
  }

  /// This node carries no member any more: its unit shall not start one. What etcd has stored stays.
  static func removeMember(_ configuration: NodeConfiguration, _ disk: any Disk) throws {
    try EtcdMemberFiles(directory: memberDirectory(configuration)).removeConfiguration()
    let path = membershipPath(configuration)
    if try disk.info(path) != nil { try disk.remove(path) }
  }

  /// Makes this node's member, or writes its renewed certificates. `membership` nil: what it was told before.
  /// - Returns: false when this node has no member.
  @discardableResult
  static func writeMember(
    _ material: ClusterMaterial, _ configuration: NodeConfiguration, _ disk: any Disk, node: NodeID,
    membership told: Membership?
  ) throws -> Bool {
    guard let own = material.etcdMember else { return false }
    let path = membershipPath(configuration)
    let membership: Membership
    if let told {
      membership = told
      try disk.makeDurableDirectory(memberDirectory(configuration))
      try disk.replaceFile(path, ClusterJSON.encode(told))
    } else {
      guard let stored = try Self.membership(configuration, disk) else { return false }
      membership = stored
    }
    let files = EtcdMemberFiles(directory: memberDirectory(configuration))
    let addresses = try ClusterAddresses(configuration)
    var member = EtcdMemberConfiguration(
      name: "\(node)", clientAddress: addresses.etcdClient, peerAddress: addresses.etcdPeer,
      dataDirectory: files.dataDirectory(member: membership.member), files: files.paths,
      initialCluster: membership.cluster.map { ($0.name, $0.url) },
      initialState: membership.member == nil ? .new : .existing, token: material.clusterID.hex)
    let timers = configuration.fabric
    member.heartbeat = timers.controlHeartbeat ?? .milliseconds(timers.isWide ? 300 : 100)
    member.election = timers.controlElection ?? .milliseconds(timers.isWide ? 3000 : 1000)
    try files.write(
      member,
      EtcdMemberFiles.Certificates(
        clientAuthority: material.control.authority, serverCertificate: own.server.certificate,
        serverKey: own.server.key, peerAuthority: own.peerAuthority, peerCertificate: own.peer.certificate,
        peerKey: own.peer.key))
    return true
  }
}

extension ClusterAddresses {
  /// Managed etcd listens behind the fabric's port.
  var etcdClient: String { "\(fabric.with(port: fabric.port &+ 1))" }
  var etcdPeer: String { "\(fabric.with(port: fabric.port &+ 2))" }
  /// Whether they fit behind this address.
  static func hasRoomForEtcd(_ fabric: SocketAddress) -> Bool { (1...65_533).contains(fabric.port) }

  /// `https://…` of any node's member, from its record's fabric address.
  static func etcd(_ fabric: SocketAddress) -> (client: String, peer: String) {
    ("https://\(fabric.with(port: fabric.port &+ 1))", "https://\(fabric.with(port: fabric.port &+ 2))")
  }
}
