// Floods, roles and versions: each limit is met by name, and whoever keeps within it is served.

import Base
import Fabric
import Formats
import OpenSSL
import Testing
import UVLoop

@Suite(.timeLimit(.minutes(1)))
struct FloodTests {
  static let b = NodeID(bits: 2)

  @Test("connections that say nothing fill only the share of handshakes, and make room again when they go")
  func handshakes() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1))
    let b = try await EventEndpoint(loop, infrastructure.credentials(2)) {
      $0.handshakesMax = 4
      $0.handshakeTimeout = .seconds(50)
    }
    var mute: [LinkPeer] = []
    for _ in 0..<7 {
      mute.append(LinkPeer(loop))
      try await mute[mute.count - 1].callRaw(b.address, sending: [])
    }
    try await b.until { $0.refused["handshakes"] == 3 && $0.handshakes == 4 }
    for peer in mute { await peer.with { $0.raw?.close() } }
    for peer in mute { await peer.until { $0.rawEnded } }
    try await b.until { $0.handshakes == 0 && $0.linksEnded.values.reduce(0, +) == 4 }
    #expect(await StandingTests.code(a.endpoint, b.address) == nil)
    loop.stop()
  }

  @Test("peers of one address that say nothing, or only half a join, leave the others their service and their joins")
  func sources() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1))
    let b = try await EventEndpoint(loop, infrastructure.credentials(2)) {
      ($0.handshakesMax, $0.handshakesPerSourceMax) = (8, 5)
      ($0.joinsMax, $0.joinsPerSourceMax) = (4, 2)
      $0.joinMethod = FabricJoiner.method
      $0.handshakeTimeout = .seconds(50)
      $0.joinTimeout = .seconds(50)
    }
    let elsewhere = try #require(SocketAddress("127.0.0.2:0"))
    // Joins that are begun and never asked, from our own address.
    let joiners = [LinkPeer(loop), LinkPeer(loop), LinkPeer(loop)]
    for peer in joiners { try await peer.join(b.address, pin: infrastructure.pin) }
    try await b.until { $0.linksEnded == ["refused.joins": 1] && $0.joins == 2 }
    var mute: [LinkPeer] = []
    for _ in 0..<9 {
      mute.append(LinkPeer(loop))
      try await mute[mute.count - 1].callRaw(b.address, sending: [], from: elsewhere)
    }
    try await b.until { $0.refused["handshakes"] == 4 && $0.handshakes == 5 }
    // They stay connected, and whoever comes from elsewhere is served.
    #expect(await StandingTests.code(a.endpoint, b.address) == nil)
    #expect(await b.endpoint.counters.handshakes == 5)
    for peer in joiners { await peer.with { $0.links[0].close() } }
    try await b.until { $0.joins == 0 }
    let answer = try await FabricJoiner.ask(
      at: b.address, on: loop, pin: infrastructure.pin, question: [1, 2], deadline: .seconds(50))
    #expect(answer == [2, 1])
    loop.stop()
  }

  @Test("answers that nobody reads are counted against the peer that asked for them")
  func answers() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (b, address) = try await EndpointTests.endpoint(loop, infrastructure.credentials(2)) {
      $0.peerBytesMax = 3 << 20
    }
    // It gives no credit: whatever is answered waits at the server.
    let peer = LinkPeer(loop)
    await peer.with { $0.consumes = false }
    try await peer.call(address, infrastructure.credentials(1))
    await peer.until { $0.effects.contains(.ready(version: 1)) }
    for _ in 0..<8 {
      await peer.with { peer in
        let opening = FabricOpening(method: 4, priority: .normal)
        peer.links[0].handle(.open(opening, [1], ends: true))
      }
    }
    // Of eight answers of 1 MiB, three are kept at most.
    await peer.until { $0.effects.count { if case .ended(_, .cancelledByPeer) = $0 { true } else { false } } >= 5 }
    #expect(await b.counters.refused["peerBytes"]! >= 5)
    loop.stop()
  }

  @Test("a question without a deadline is worked on for a time, not for ever")
  func endless() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let b = try await EventEndpoint(loop, infrastructure.credentials(2)) { $0.questionTimeMax = .milliseconds(30) }
    let peer = LinkPeer(loop)
    try await peer.call(b.address, infrastructure.credentials(1))
    await peer.until { $0.effects.contains(.ready(version: 1)) }
    await peer.with { $0.links[0].handle(.open(FabricOpening(method: 2, priority: .normal), [1], ends: true)) }
    #expect(await b.log.next() == .asked(2))
    await peer.until { $0.effects.contains(.ended(1, .cancelledByPeer)) }
    loop.stop()
  }

  @Test("an address that calls faster than its rate is turned away before a byte is read")
  func accepts() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let b = try await EventEndpoint(loop, infrastructure.credentials(2)) {
      $0.acceptsPerSecond = 1
      $0.acceptBurst = 3
      $0.handshakeTimeout = .seconds(30)
    }
    let peers = (0..<8).map { _ in LinkPeer(loop) }
    for peer in peers { try await peer.callRaw(b.address, sending: []) }
    // A slow machine may have earned another one meanwhile.
    try await b.until { ($0.refused["acceptRate"] ?? 0) + $0.handshakes == 8 }
    #expect(await b.endpoint.counters.refused["acceptRate"]! >= 1)
    loop.stop()
    var rates = AcceptRates(rate: 10, burst: 2)
    let (near, far): ([UInt8], [UInt8]) = ([10, 0, 0, 1], [10, 0, 0, 2])
    let taken = [rates.take(near, at: 0), rates.take(near, at: 0), rates.take(near, at: 0), rates.take(far, at: 0)]
    #expect(taken == [true, true, false, true])
    let later = [rates.take(near, at: 100_000_000), rates.take(near, at: 100_000_000)]
    #expect(later == [true, false])
    // One /64 is one source; a table full of debtors serves the rest from one bucket.
    let prefix: [UInt8] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 1]
    let same = (0..<4).map { rates.take(prefix + [0, 0, 0, 0, 0, 0, 0, $0], at: 0) }
    #expect(same == [true, true, false, false])
    var passed = 0
    for i in 0..<20_000 {
      let source = [UInt8](repeating: 9, count: 5) + [UInt8(i >> 16), UInt8(i >> 8 & 255), UInt8(i & 255)]
      if rates.take(source, at: 1_000_000_000) { passed += 1 }
    }
    #expect(passed <= 4096 + 2)
  }

  @Test("a member's links and the rate of its questions are bounded")
  func members() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1))
    let b = try await EventEndpoint(loop, infrastructure.credentials(2)) {
      $0.peerQuestionsPerSecond = 5
      $0.peerLinksMax = 2
    }
    var codes: [FabricError.Code?] = []
    for _ in 0..<40 { codes.append(await StandingTests.code(a.endpoint, b.address)) }
    #expect(codes.prefix(5).allSatisfy { $0 == nil } && codes.contains(.cancelled))
    #expect(await b.endpoint.counters.refused["questionRate"] == codes.count { $0 == .cancelled })
    let more = [LinkPeer(loop), LinkPeer(loop)]
    for peer in more { try await peer.call(b.address, infrastructure.credentials(1)) }
    try await b.until { $0.linksEnded == ["refused.peerLinks": 1] }
    loop.stop()
  }

  @Test("a client may ask what the service permits to clients; what is for nodes is refused and counted")
  func roles() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let client = try await EventEndpoint(loop, infrastructure.credentials(1, role: .client))
    let b = try await EventEndpoint(loop, infrastructure.credentials(2)) { $0.roles = [.node, .client] }
    #expect(await StandingTests.code(client.endpoint, b.address) == nil)
    for _ in 0..<3 { #expect(await StandingTests.code(client.endpoint, b.address, method: 2) == .refused) }
    let channel = try await client.endpoint.open(Self.b, at: b.address, method: 7)
    await #expect(throws: FabricError.self) { try await channel.receive() }
    #expect(await b.endpoint.counters.refused == ["method": 4])
    // Where only nodes may come, a client does not get as far as a question.
    let closed = try await EventEndpoint(loop, infrastructure.credentials(3))
    let peer = LinkPeer(loop)
    try await peer.call(closed.address, infrastructure.credentials(1, role: .client))
    try await closed.until { $0.linksEnded == ["tls.wrongRole": 1] }
    loop.stop()
  }

  @Test("neighbouring releases talk in the older one's version; strangers in time part by name")
  func versions() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    func endpoint(_ number: UInt64, _ versions: ClosedRange<UInt16>) async throws -> EventEndpoint {
      try await EventEndpoint(loop, infrastructure.credentials(number)) { $0.limits.versions = versions }
    }
    let (old, new) = (try await endpoint(1, 1...1), try await endpoint(2, 1...2))
    let (newer, far) = (try await endpoint(3, 2...3), try await endpoint(4, 8...9))
    func code(_ a: EventEndpoint, _ b: EventEndpoint, _ id: UInt64) async -> FabricError.Code? {
      do throws(FabricError) {
        _ = try await a.endpoint.ask(
          NodeID(bits: UInt128(id)), at: b.address, method: 1, [1], deadline: .seconds(50))
        return nil
      } catch { return error.code }
    }
    #expect(await code(old, new, 2) == nil)
    #expect(await code(new, old, 1) == nil)
    #expect(await code(new, newer, 3) == nil)
    #expect(await code(old, newer, 3) == .refused)
    #expect(await code(newer, far, 4) == .refused)
    try await far.until { $0.linksEnded == ["fabric.version": 1] }
    #expect(await old.endpoint.counters.linksEnded == ["fabric.version": 1])
    loop.stop()
  }
}
