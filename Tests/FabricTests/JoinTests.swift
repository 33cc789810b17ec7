// Joining without a certificate: the right member is found by its pin alone, and such a link can do nothing else.

import Base
import Fabric
import Formats
import OpenSSL
import Testing
import UVLoop

@Suite(.timeLimit(.minutes(1)))
struct JoinTests {
  static func server(
    _ loop: UVLoop, _ credentials: TLSCredentials, change: (inout FabricConfiguration) -> Void = { _ in }
  ) async throws -> EventEndpoint {
    try await EventEndpoint(loop, credentials) {
      $0.joinMethod = FabricJoiner.method
      change(&$0)
    }
  }

  static func ask(
    _ loop: UVLoop, _ address: SocketAddress, _ pin: [UInt8], cluster: String? = nil,
    method: UInt16 = FabricJoiner.method, _ question: [UInt8] = [1, 2, 3], deadline: Duration = .seconds(30)
  ) async -> Result<[UInt8], FabricError> {
    let task = Task {
      try await FabricJoiner.ask(
        at: address, on: loop, pin: pin, cluster: cluster, method: method, question: question, deadline: deadline)
    }
    return await task.result.mapError { $0 as? FabricError ?? FabricError(.cancelled, "\($0)") }
  }

  @Test("somebody without a certificate asks one question of a member that fits the pin")
  func joins() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let server = try await Self.server(loop, infrastructure.credentials(2))
    let pin = try infrastructure.pin
    #expect(await Self.ask(loop, server.address, pin) == .success([3, 2, 1]))
    #expect(await Self.ask(loop, server.address, pin, cluster: "test") == .success([3, 2, 1]))
    let long = SystemRandom.bytes(FabricJoiner.bytesMax)
    #expect(await Self.ask(loop, server.address, pin, long) == .success(long.reversed()))
    #expect(await server.log.next() == .joined([1, 2, 3]))
    try await server.until { $0.links == 0 }
    let counters = await server.endpoint.counters
    #expect(counters.joinsAnswered == 3 && counters.joins == 0 && counters.handshakes == 0)
    #expect(counters.linksEnded == ["fabric.peer": 3])
    // No answer is a refusal, and a member that serves no joins says so in the handshake.
    #expect(await Self.ask(loop, server.address, pin, []).code == .refused)
    let closed = try await EventEndpoint(loop, infrastructure.credentials(3))
    #expect(await Self.ask(loop, closed.address, pin).reason == "tls.refusedByPeer")
    try await closed.until { $0.linksEnded == ["tls.foreignProtocol": 1] }
    loop.stop()
    #expect(loop.metrics.openHandles == 0)
  }

  @Test("a wrong pin, a foreign member, an expired one, a client's certificate and another cluster are refused by name")
  func refusesMembers() async throws {
    let loop = UVLoop()
    let (ours, theirs) = (try Infrastructure(), try Infrastructure())
    let pin = try ours.pin
    let server = try await Self.server(loop, ours.credentials(2))
    var wrong = pin
    wrong[31] ^= 1
    #expect(await Self.ask(loop, server.address, wrong).reason == "tls.wrongPin")
    #expect(await Self.ask(loop, server.address, []).reason == "tls.wrongPin")
    #expect(await Self.ask(loop, server.address, pin, cluster: "other").reason == "tls.foreignCluster")
    let foreign = try await Self.server(loop, theirs.credentials(2))
    #expect(await Self.ask(loop, foreign.address, pin).reason == "tls.wrongPin")
    let late = try await Self.server(loop, ours.credentials(2, expired: true))
    #expect(await Self.ask(loop, late.address, pin).reason == "tls.expired")
    let client = try await Self.server(loop, ours.credentials(2, role: .client))
    #expect(await Self.ask(loop, client.address, pin).reason == "tls.wrongPurpose")
    for server in [server, foreign, late, client] {
      let ends = await server.endpoint.counters
      #expect(ends.joinsAnswered == 0)
    }
    // Nobody there, and somebody who never answers.
    let mute = LinkPeer(loop)
    let silent = try await mute.listenMute()
    #expect(await Self.ask(loop, silent, pin, deadline: .milliseconds(50)).code == .deadline)
    await mute.with { $0.closeMute() }
    #expect(await Self.ask(loop, silent, pin).code == .unreachable)
    loop.stop()
  }

  @Test("a link to join that asks anything else, twice, too much, too slowly or beside too many is ended by name")
  func refusesJoiners() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let pin = try infrastructure.pin
    let server = try await Self.server(loop, infrastructure.credentials(2))
    func ended(_ name: String) async throws { try await server.until { $0.linksEnded[name] == 1 } }
    let other = await Self.ask(loop, server.address, pin, method: 1)
    #expect(other.code == .refused && other.reason == "fabric.peerRefuses")
    try await ended("refused.joinMethod")

    let opening = FabricOpening(method: FabricJoiner.method, priority: .normal)
    func joined() async throws -> LinkPeer {
      let peer = LinkPeer(loop)
      try await peer.join(server.address, pin: pin)
      await peer.until { $0.effects.contains(.ready(version: 1)) }
      return peer
    }
    let twice = try await joined()
    await twice.with { $0.links[0].handle(.open(opening, [7], ends: true)) }
    await twice.until { $0.effects.contains(.data(1, [7], ends: true)) }
    await twice.with { $0.links[0].handle(.open(opening, [8], ends: true)) }
    await twice.until { !$0.ends.isEmpty }
    #expect(await twice.with { $0.ends } == [.fabric(.peerRefuses)])
    try await ended("refused.joinAgain")

    let large = try await joined()
    await large.with { $0.links[0].handle(.open(opening, [UInt8](repeating: 1, count: 64 << 10), ends: false)) }
    await large.with { $0.links[0].handle(.wantRoom(1)) }
    await large.until { $0.effects.contains(.sendable(1)) }
    await large.with { $0.links[0].handle(.send(1, [1], ends: false)) }
    await large.until { !$0.ends.isEmpty }
    try await ended("refused.joinTooLarge")
    #expect(await server.endpoint.counters.joinsAnswered == 1)

    let full = try await Self.server(loop, infrastructure.credentials(3)) { $0.joinsMax = 1 }
    let first = LinkPeer(loop)
    try await first.join(full.address, pin: pin)
    try await full.until { $0.joins == 1 }
    #expect(await Self.ask(loop, full.address, pin).reason == "fabric.peerRefuses")
    #expect(await full.endpoint.counters.linksEnded == ["refused.joins": 1])
    let slow = try await Self.server(loop, infrastructure.credentials(4)) { $0.joinTimeout = .milliseconds(60) }
    let loris = LinkPeer(loop)
    try await loris.join(slow.address, pin: pin)
    await loris.until { !$0.ends.isEmpty }
    try await slow.until { $0.linksEnded["refused.joinTimeout"] == 1 && $0.joins == 0 }
    loop.stop()
  }

  @Test("without a certificate the protocol of members stays closed")
  func membersOnly() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let server = try await Self.server(loop, infrastructure.credentials(2))
    let peer = LinkPeer(loop)
    try await peer.join(server.address, pin: infrastructure.pin, speaking: .fabric)
    try await server.until { $0.linksEnded == ["tls.noCertificate": 1] }
    await peer.until { !$0.ends.isEmpty }
    #expect(await peer.with { $0.ends } == [.tls(.refusedByPeer)])
    #expect(await server.endpoint.counters.joinsAnswered == 0)
    loop.stop()
  }
}

extension Result<[UInt8], FabricError> {
  var code: FabricError.Code? { if case .failure(let error) = self { error.code } else { nil } }
  var reason: String? { if case .failure(let error) = self { error.reason } else { nil } }
}
