// What is written for etcd, and what is refused.

import ControlStores
import Foundation
import OpenSSL
import Testing

@Suite struct EtcdMemberFilesTests {
  let directory = TemporaryDirectory()

  private var files: EtcdMemberFiles { EtcdMemberFiles(directory: directory.path + "/etcd") }

  private var configuration: EtcdMemberConfiguration {
    EtcdMemberConfiguration(
      name: "0f", clientAddress: "10.0.0.1:7403", peerAddress: "10.0.0.1:7404",
      dataDirectory: files.dataDirectory(member: nil), files: files.paths,
      initialCluster: [("0f", "https://10.0.0.1:7404")], initialState: .new, token: "komora-1")
  }

  private func certificates(_ mark: String) -> EtcdMemberFiles.Certificates {
    .init(
      clientAuthority: "ca", serverCertificate: "server \(mark)", serverKey: SecretBytes(Array("key \(mark)".utf8)),
      peerAuthority: "peers", peerCertificate: "peer", peerKey: SecretBytes(Array("peer key".utf8)))
  }

  @Test("files are private, written once, and only what changed is written again")
  func writing() throws {
    let all = EtcdMemberFiles.Written(certificates: true, authorities: true, configuration: true)
    #expect(try files.write(configuration, certificates("1")) == all)
    #expect(try files.write(configuration, certificates("1")) == .init())
    #expect(try files.write(configuration, certificates("2")) == .init(certificates: true))
    var slower = configuration
    slower.election = .seconds(3)
    #expect(try files.write(slower, certificates("2")) == .init(configuration: true))
    let names = try FileManager.default.contentsOfDirectory(atPath: files.directory)
    #expect(names.count == 7 && !names.contains { $0.hasSuffix(".new") })
    for name in names {
      let path = files.directory + "/" + name
      #expect(try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int == 0o600, "\(name)")
    }
    #expect(try FileManager.default.attributesOfItem(atPath: files.directory)[.posixPermissions] as? Int == 0o700)
    // Open to others, or a link: written anew.
    try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: files.paths.serverKey)
    #expect(try files.write(slower, certificates("2")) == .init(certificates: true))
    try files.removeConfiguration()
    try files.removeConfiguration()
    #expect(!FileManager.default.fileExists(atPath: files.configurationPath))
  }

  @Test("the configuration asks for certificates on both ports, from two authorities, and for version 3 only")
  func yaml() throws {
    let text = try configuration.yaml()
    for line in [
      "name: \"0f\"", "listen-client-urls: \"https://10.0.0.1:7403\"", "listen-peer-urls: \"https://10.0.0.1:7404\"",
      "initial-cluster: \"0f=https://10.0.0.1:7404\"", "enable-v2: false", "enable-grpc-gateway: true",
      "heartbeat-interval: 100", "election-timeout: 1000", "quota-backend-bytes: 2147483648",
      "auto-compaction-retention: \"3600s\"", "  client-cert-auth: true", "  auto-tls: false",
    ] { #expect(text.split(separator: "\n").contains(Substring(line)), "\(line)") }
    #expect(!text.contains("http://"))
  }

  @Test("addresses outside the fabric, names and paths that would break out of their quotes are refused")
  func refusals() {
    func refuses(_ change: (inout EtcdMemberConfiguration) -> Void) -> Bool {
      var changed = configuration
      change(&changed)
      do throws(ControlStoreError) {
        _ = try changed.yaml()
        return false
      } catch { return error.code == .invalid }
    }
    #expect(!refuses { _ in })
    #expect(!refuses { $0.clientAddress = "[fd00::1]:7403" })
    for address in [
      "0.0.0.0:7403", "[::]:7403", "[0:0::0]:7403", ":7403", "10.0.0.1", "10.0.0.1:0", "10.0.0.1:70000", "host:7403",
      "10.0.0.01:7403", "10.0.0.256:7403", "10.0.0.1\":7403", "[fd00::1\"]:7403", "",
    ] { #expect(refuses { $0.clientAddress = address }, "\(address)") }
    #expect(refuses { $0.name = "a\"b" })
    #expect(refuses { $0.token = "" })
    #expect(refuses { $0.dataDirectory = "relative" })
    #expect(refuses { $0.dataDirectory = "/a\"\nenable-v2: true" })
    #expect(refuses { $0.files.peerAuthority = $0.files.clientAuthority })
    #expect(refuses { $0.initialCluster = [] })
    #expect(refuses { $0.initialCluster.append(("x", "http://10.0.0.2:7404")) })
    #expect(refuses { $0.initialCluster.append(("0f", "https://10.0.0.2:7404")) })
    #expect(refuses { $0.election = .milliseconds(400) })
    #expect(refuses { $0.quotaBytes = 0 })
  }

  @Test("the unit runs etcd from the written file, as nobody's child")
  func unit() {
    let text = EtcdUnit.service(directory: "/var/lib/komora/etcd")
    #expect(text.contains("\nExecStart=/usr/bin/etcd --config-file /var/lib/komora/etcd/etcd.yaml\n"))
    #expect(text.contains("\nReadWritePaths=/var/lib/komora/etcd\n") && !text.contains("PartOf="))
    #expect(EtcdUnit.path(directory: "/x").contains("\nPathExists=/x/etcd.yaml\n"))
  }

  @Test("the units below cluster/ are these, for the directory that its topologies use")
  func topologies() throws {
    let systemd = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appendingPathComponent("cluster/systemd")
    let directory = "/var/lib/komora/data/etcd"
    for (name, text) in [
      (EtcdUnit.serviceName, EtcdUnit.service(directory: directory)),
      (EtcdUnit.pathName, EtcdUnit.path(directory: directory)),
    ] { #expect(try String(contentsOf: systemd.appendingPathComponent(name), encoding: .utf8) == text, "\(name)") }
  }
}
