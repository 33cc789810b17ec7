// Real etcd servers on loopback, with certificates of their own: what the tests of `EtcdControlStore` talk to.

import ControlStores
import Foundation
import Glibc

final class EtcdCluster {
  struct Failure: Error { var text: String }

  private struct Member {
    var name: String
    var clientPort: Int
    var peerPort: Int
    var process: Process?
  }

  let directory = TemporaryDirectory()
  private var members: [Member] = []

  init(members count: Int = 1) throws {
    try Self.makeCertificates(in: directory.path)
    let ports = Self.freePorts(count * 2)
    members = (0..<count).map {
      Member(name: "m\($0)", clientPort: ports[$0 * 2], peerPort: ports[$0 * 2 + 1])
    }
    for index in members.indices { try start(index) }
    try waitUntilHealthy()
  }

  deinit { for index in members.indices { kill(index) } }

  var endpoints: [String] { members.map { "https://127.0.0.1:\($0.clientPort)" } }

  func configuration(certificate: String = "client") -> EtcdConfiguration {
    var configuration = EtcdConfiguration(
      endpoints: endpoints, authorityPath: path("ca.crt"), certificatePath: path("\(certificate).crt"),
      keyPath: path("\(certificate).key"), prefix: "/komora-test/")
    configuration.requestTimeout = .seconds(2)
    return configuration
  }

  func start(_ index: Int) throws {
    let member = members[index]
    let peers = members.map { "\($0.name)=http://127.0.0.1:\($0.peerPort)" }.joined(separator: ",")
    let (client, peer) = ("https://127.0.0.1:\(member.clientPort)", "http://127.0.0.1:\(member.peerPort)")
    members[index].process = try Self.run(
      "etcd",
      [
        "--name", member.name, "--data-dir", path("data-\(member.name)"), "--initial-cluster", peers,
        "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
        "--initial-advertise-peer-urls", peer, "--cert-file", path("server.crt"), "--key-file", path("server.key"),
        "--client-cert-auth", "--trusted-ca-file", path("ca.crt"), "--enable-v2=false", "--heartbeat-interval", "50",
        "--election-timeout", "500",
      ], output: path("log-\(member.name)"))
  }

  /// As a power cut would end it.
  func kill(_ index: Int) {
    guard let process = members[index].process else { return }
    Glibc.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    members[index].process = nil
  }

  /// Alive but silent until `resume`.
  func pause(_ index: Int) { Glibc.kill(members[index].process!.processIdentifier, SIGSTOP) }
  func resume(_ index: Int) { Glibc.kill(members[index].process!.processIdentifier, SIGCONT) }

  /// Until a member answers that there is a leader.
  func waitUntilHealthy() throws {
    for _ in 0..<200 {
      for endpoint in endpoints
      where (try? curl(endpoint + "/v3/kv/range", #"{"key":"YQ=="}"#).contains("header")) ?? false {
        return
      }
      usleep(50_000)
    }
    throw Failure(text: "etcd does not start: see \(directory.path)")
  }

  /// Forgets everything before `revision`.
  func compact(_ revision: Int64) throws {
    let said = try curl(endpoints[0] + "/v3/kv/compaction", #"{"revision":"\#(revision)","physical":true}"#)
    if !said.contains("header") { throw Failure(text: said) }
  }

  /// What lies on the disks of all members.
  func storedBytes() throws -> Data {
    var all = Data()
    for case let file as String in FileManager.default.enumerator(atPath: directory.path)! where file.hasPrefix("data-")
    {
      all += FileManager.default.contents(atPath: path(file)) ?? Data()
    }
    return all
  }

  private func curl(_ url: String, _ body: String) throws -> String {
    let out = path("curl")
    let process = try Self.run(
      "curl",
      [
        "-sS", "-m", "3", "--cacert", path("ca.crt"), "--cert", path("client.crt"), "--key", path("client.key"), url,
        "-d", body,
      ], output: out)
    process.waitUntilExit()
    return String(decoding: FileManager.default.contents(atPath: out) ?? Data(), as: UTF8.self)
  }

  private func path(_ name: String) -> String { "\(directory.path)/\(name)" }

  private static func run(_ command: String, _ arguments: [String], output: String) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/\(command)")
    process.arguments = arguments
    _ = FileManager.default.createFile(atPath: output, contents: nil)
    let file = FileHandle(forWritingAtPath: output)
    process.standardOutput = file
    process.standardError = file
    try process.run()
    return process
  }

  /// Two authorities; of the first a server, a client, and a certificate that may not be a client.
  private static func makeCertificates(in directory: String) throws {
    let script = """
      set -e; cd "$1"
      authority() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.crt \
        -days 2 -subj "/CN=$1"; }
      leaf() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $2.key -out $2.csr -subj "/CN=$2"
        printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=%s\\n' "$3" > $2.ext
        openssl x509 -req -in $2.csr -CA $1.crt -CAkey $1.key -CAcreateserial -days 2 -extfile $2.ext -out $2.crt; }
      authority ca; authority other
      leaf ca server serverAuth,clientAuth; leaf ca client clientAuth; leaf ca half serverAuth; leaf other foreign clientAuth
      """
    let process = try run("env", ["bash", "-c", script, "certificates", directory], output: directory + "/openssl.log")
    process.waitUntilExit()
    guard process.terminationStatus == 0 else { throw Failure(text: "openssl failed: \(directory)/openssl.log") }
  }

  /// Ports that were free a moment ago, all held at once while they are chosen.
  static func freePorts(_ count: Int) -> [Int] {
    var held: [Int32] = []
    defer { for descriptor in held { close(descriptor) } }
    return (0..<count).map { _ in
      let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
      held.append(descriptor)
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          _ = bind(descriptor, $0, length)
          _ = getsockname(descriptor, $0, &length)
        }
      }
      return Int(UInt16(bigEndian: address.sin_port))
    }
  }
}
