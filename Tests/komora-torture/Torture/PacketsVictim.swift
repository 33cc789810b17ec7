// The node under attack: a real endpoint on the loopback whose service counts everything that gets through.

import Base
import Fabric
import Glibc
import OpenSSL
import Synchronization
import Threads
import UVLoop

/// A cluster's authority, identities and keys for the attack.
struct PacketsCluster {
  static let now = Int64(time(nil))
  /// The number of a member that was removed: not one that a few flipped bits make of another.
  static let removed: UInt64 = 0xffff_ffff_0000_0000
  let authority: X509Authority
  let ring: DatagramKeys

  init(key: UInt8) throws {
    authority = try X509Authority.make(name: "packets", validity: (Self.now - 60)...(Self.now + 7200))
    ring = DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: key, count: 32)))
  }

  func credentials(_ number: UInt64) throws -> TLSCredentials {
    let key = X509Key.generate()
    let identity = try X509Identity(cluster: "packets", region: "eu", id: Self.id(number), role: .node)
    let leaf = try authority.issue(
      X509Request.make(key), for: identity, validity: (Self.now - 60)...(Self.now + 7200))
    return TLSCredentials(authorities: [authority.certificate.pem], certificate: leaf.pem, key: key.pem)
  }

  static func id(_ number: UInt64) -> NodeID { NodeID(bits: UInt128(number)) }
}

/// Permits members everything but one method, and counts what it hears: what comes through is hostile, unless a member
/// asked it in frames that are whole.
final class PacketsService: FabricService {
  static let honest: [UInt8] = Array("honest".utf8)
  private let good = Atomic<Int>(0)
  private let bad = Atomic<Int>(0)
  private let answers = Atomic<Int>(0)

  static let forbidden: UInt16 = 3

  func permits(_ method: UInt16, to peer: X509Identity) -> Bool { method != Self.forbidden }

  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? {
    answers.add(1, ordering: .relaxed)
    if method == Self.forbidden { bad.add(1, ordering: .relaxed) }
    return nil
  }

  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) {
    if datagram == Self.honest { good.add(1, ordering: .relaxed) } else { bad.add(1, ordering: .relaxed) }
  }

  var heardHonest: Int { good.load(ordering: .relaxed) }
  /// Hostile datagrams that were heard, and questions that the service does not permit.
  var hostile: Int { bad.load(ordering: .relaxed) }
  /// Questions that were put to the service.
  var questions: Int { answers.load(ordering: .relaxed) }
}

struct PacketsVictim {
  let endpoint: FabricEndpoint
  let address: SocketAddress
  let service = PacketsService()
  /// Not after the endpoint's own beginning: on a busy machine much time passes between that and the first attack.
  let start = UVLoop.unixMicroseconds()

  init(_ cluster: PacketsCluster, on loop: UVLoop) async throws {
    var configuration = FabricConfiguration(
      address: .loopback(), credentials: try cluster.credentials(1), datagramKeys: cluster.ring)
    configuration.handshakeTimeout = .milliseconds(200)
    configuration.limits.helloTimeout = 200_000_000
    configuration.acceptsPerSecond = 1_000_000
    configuration.acceptBurst = 1_000_000
    configuration.peerLinksMax = 64
    // All of the attack comes from one address.
    configuration.handshakesPerSourceMax = configuration.handshakesMax
    endpoint = try FabricEndpoint(configuration, on: loop, service: service)
    address = try await endpoint.start()
    await endpoint.refuse([PacketsCluster.id(PacketsCluster.removed)])
  }

  /// Datagrams that the system dropped because the socket's buffer was full.
  var dropped: Int {
    guard let text = Self.read("/proc/net/udp") else { return 0 }
    let port = String(address.port, radix: 16, uppercase: true)
    let place = ":" + String(repeating: "0", count: 4 - port.count) + port
    for line in text.split(separator: "\n").dropFirst() {
      let words = line.split(separator: " ")
      if words.count > 12, words[1].hasSuffix(place) { return Int(words[12]) ?? 0 }
    }
    return 0
  }

  /// Resident bytes of this process.
  static var residentBytes: Int {
    let words = read("/proc/self/statm")?.split(separator: " ") ?? []
    return words.count > 1 ? (Int(words[1]) ?? 0) * Int(sysconf(Int32(_SC_PAGESIZE))) : 0
  }

  private static func read(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 64 << 10)
    while true {
      let count = fread(&piece, 1, piece.count, file)
      if count == 0 { return String(decoding: bytes, as: UTF8.self) }
      bytes += piece[..<count]
    }
  }
}
