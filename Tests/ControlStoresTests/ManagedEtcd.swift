// Members of etcd as nodes run them: configured by `EtcdMemberFiles`, mutual TLS on both ports, certificates from two
// authorities of ours. The processes are the test's own.

import ControlStores
import Foundation
import Glibc
import OpenSSL

final class ManagedEtcd {
  struct Failure: Error { var text: String }

  private struct Running {
    var process: Process?
    var configuration: EtcdMemberConfiguration
  }

  let directory = TemporaryDirectory()
  private let clients: X509Authority
  private let peers: X509Authority
  private let validity: ClosedRange<Int64>
  private var running: [String: Running] = [:]
  let nodes: [EtcdMemberNode]

  init(nodes count: Int, regions: [String]) throws {
    let now = Int64(time(nil))
    validity = (now - 60)...(now + 86_400)
    clients = try X509Authority.make(name: "etcd clients", kind: .p256, validity: validity)
    peers = try X509Authority.make(name: "etcd peers", kind: .p256, validity: validity)
    let ports = EtcdCluster.freePorts(count * 2)
    nodes = (0..<count).map { i in
      EtcdMemberNode(
        id: "n\(i)", region: regions[i % regions.count], zone: "a", clientURL: "https://127.0.0.1:\(ports[i * 2])",
        peerURL: "https://127.0.0.1:\(ports[i * 2 + 1])", isAlive: true)
    }
    try leaf(clients, .client, []).write(to: directory.path, "client")
    try clients.certificate.pem.write(toFile: directory.path + "/ca.crt", atomically: true, encoding: .utf8)
  }

  deinit { for name in running.keys { kill(name) } }

  private struct Leaf {
    var certificate: String
    var key: SecretBytes

    func write(to directory: String, _ name: String) throws {
      try certificate.write(toFile: "\(directory)/\(name).crt", atomically: true, encoding: .utf8)
      try Data(key.copy).write(to: URL(fileURLWithPath: "\(directory)/\(name).key"))
    }
  }

  private func leaf(_ authority: X509Authority, _ usage: X509Usage, _ hosts: [String]) throws -> Leaf {
    let key = X509Key.generate(.p256)
    let certificate = try authority.issue(
      X509Request.make(key), name: "komora", usage: usage, hosts: hosts, validity: validity)
    return Leaf(certificate: certificate.pem, key: key.pem)
  }

  func configuration(_ endpoints: [String]) -> EtcdConfiguration {
    var configuration = EtcdConfiguration(
      endpoints: endpoints, authorityPath: directory.path + "/ca.crt", certificatePath: directory.path + "/client.crt",
      keyPath: directory.path + "/client.key")
    configuration.requestTimeout = .seconds(3)
    return configuration
  }

  func files(_ node: EtcdMemberNode) -> EtcdMemberFiles { EtcdMemberFiles(directory: directory.path + "/" + node.id) }

  func certificates() throws -> EtcdMemberFiles.Certificates {
    let (server, peer) = (try leaf(clients, .server, ["127.0.0.1"]), try leaf(peers, .server, ["127.0.0.1"]))
    return .init(
      clientAuthority: clients.certificate.pem, serverCertificate: server.certificate, serverKey: server.key,
      peerAuthority: peers.certificate.pem, peerCertificate: peer.certificate, peerKey: peer.key)
  }

  /// `membership` is nil for the first member of all.
  func start(_ node: EtcdMemberNode, membership: (member: EtcdMember, all: [EtcdMember])?) throws {
    let files = files(node)
    var configuration = EtcdMemberConfiguration(
      name: node.id, clientAddress: String(node.clientURL.dropFirst(8)), peerAddress: String(node.peerURL.dropFirst(8)),
      dataDirectory: files.dataDirectory(member: membership?.member.id), files: files.paths,
      initialCluster: membership.map {
        EtcdMemberConfiguration.initialCluster($0.all, adding: $0.member.id, named: node.id)
      } ?? [(node.id, node.peerURL)], initialState: membership == nil ? .new : .existing, token: "komora-test")
    configuration.heartbeat = .milliseconds(50)
    configuration.election = .milliseconds(500)
    try files.write(configuration, certificates())
    running[node.id] = Running(process: nil, configuration: configuration)
    try restart(node)
  }

  func restart(_ node: EtcdMemberNode) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/etcd")
    process.arguments = ["--config-file", files(node).configurationPath]
    let log = directory.path + "/log-" + node.id
    if !FileManager.default.fileExists(atPath: log) {
      _ = FileManager.default.createFile(atPath: log, contents: nil)
    }
    let file = FileHandle(forWritingAtPath: log)
    try file?.seekToEnd()
    process.standardOutput = file
    process.standardError = file
    try process.run()
    running[node.id]?.process = process
  }

  /// As a power cut would end it.
  func kill(_ name: String) {
    guard let process = running[name]?.process else { return }
    Glibc.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    running[name]?.process = nil
  }

  func dataDirectory(_ name: String) -> String? { running[name]?.configuration.dataDirectory }
}
