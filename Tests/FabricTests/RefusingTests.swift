// Removed members are refused everywhere; certificates and keys change without losing a peer or a datagram.

import Base
import Fabric
import Formats
import OpenSSL
import Testing
import UVLoop

@Suite(.timeLimit(.minutes(1)))
struct RefusingTests {
  static let a = NodeID(bits: 1)
  static let b = NodeID(bits: 2)

  @Test("a removed member loses its links and is refused as caller, as callee and by datagram, each time counted")
  func removed() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1))
    let b = try await EventEndpoint(loop, infrastructure.credentials(2))
    await a.endpoint.keep(Self.b, at: b.address)
    await b.endpoint.keep(Self.a, at: a.address)
    #expect(await a.log.next() == .up(Self.b))
    #expect(await b.log.next() == .up(Self.a))
    #expect(await b.endpoint.send([1], to: a.address))
    #expect(await a.log.next() == .heard(Self.b, [1]))
    await a.endpoint.refuse([Self.b])
    #expect(await b.log.next() == .down(Self.a, .refused))
    try await a.until { ($0.linksEnded["refused.removed"] ?? 0) >= 3 }
    #expect(await b.endpoint.send([2], to: a.address))
    try await a.until { $0.datagramsRefused["removed"] == 1 }
    do throws(FabricError) {
      _ = try await a.endpoint.ask(Self.b, at: b.address, method: 1, [1], deadline: .seconds(50))
      Issue.record("a removed member was asked")
    } catch {
      #expect(error.code == .refused && error.reason == "refused.removed")
    }
    await a.endpoint.keep(Self.b, at: b.address)
    #expect(await a.endpoint.linksUp.isEmpty)
    // Admitted again, it is heard again.
    await a.endpoint.refuse([])
    await b.log.until { $0 == .up(Self.a) }
    #expect(await b.endpoint.send([3], to: a.address))
    #expect(await a.log.next() == .heard(Self.b, [3]))
    loop.stop()
  }

  @Test("certificates change authority under questions: every standing link is renewed and none is lost")
  func renewal() async throws {
    let loop = UVLoop()
    let (old, new) = (try Infrastructure(), try Infrastructure())
    func credentials(_ number: UInt64, of signer: Infrastructure, trusting: [Infrastructure]) throws -> TLSCredentials {
      var credentials = try signer.credentials(number)
      credentials.authorities = trusting.map(\.authority.certificate)
      return credentials
    }
    var nodes: [EventEndpoint] = []
    for number in 1...3 {
      nodes.append(try await EventEndpoint(loop, credentials(UInt64(number), of: old, trusting: [old])))
    }
    for (i, node) in nodes.enumerated() {
      for (j, other) in nodes.enumerated() where i != j {
        await node.endpoint.keep(NodeID(bits: UInt128(j + 1)), at: other.address)
      }
      for _ in 0..<2 { _ = await node.log.next() }
    }
    let (endpoint, address) = (nodes[0].endpoint, nodes[1].address)
    let (more, asking) = Self.asking { try await endpoint.ask(Self.b, at: address, method: 1, [1], deadline: $0) }
    // Trust both, then show the new one, then trust only it; each step everywhere before the next.
    let steps = [(old, [old, new]), (new, [old, new]), (new, [new])]
    for (round, step) in steps.enumerated() {
      for (i, node) in nodes.enumerated() {
        try await node.endpoint.use(credentials(UInt64(i + 1), of: step.0, trusting: step.1))
      }
      for node in nodes { await node.endpoint.renewLinks(spread: .milliseconds(10)) }
      for node in nodes {
        try await node.until { ($0.linksEnded["fabric.peerRenews"] ?? 0) >= 2 * (round + 1) && $0.links == 4 }
      }
    }
    more.finish()
    #expect(try await asking.value > 0)
    for node in nodes {
      #expect(await node.endpoint.linksUp.count == 2)
      let ended = await node.endpoint.counters.linksEnded
      #expect(Set(ended.keys) == ["fabric.peerRenews", "fabric.here"], "\(ended)")
    }
    loop.stop()
  }

  /// Asks again and again until the other end of the stream is finished.
  static func asking(
    _ ask: @escaping @Sendable (Duration) async throws -> [UInt8]
  ) -> (AsyncStream<Void>.Continuation, Task<Int, any Error>) {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
    let asking = Task<Int, any Error> {
      var answered = 0
      for await _ in stream {
        let answer = try await ask(.seconds(50))
        #expect(answer == [1])
        answered += 1
        continuation.yield()
      }
      return answered
    }
    continuation.yield()
    return (continuation, asking)
  }

  @Test("keys rotate under the traffic of three endpoints and not one datagram is refused")
  func rotation() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    var nodes: [EventEndpoint] = []
    for number in 1...3 { nodes.append(try await EventEndpoint(loop, infrastructure.credentials(UInt64(number)))) }
    var sent: UInt8 = 0
    /// Everybody to everybody, and each has heard both.
    func exchange() async {
      sent &+= 1
      for node in nodes {
        for other in nodes where other.address != node.address {
          #expect(await node.endpoint.send([sent], to: other.address))
        }
      }
      for node in nodes {
        for _ in 0..<2 {
          let event = await node.log.next()
          if case .heard(_, [sent]) = event { continue }
          Issue.record("heard something else: \(String(describing: event))")
        }
      }
    }
    var ring = DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: 1, count: 32)))
    for next: UInt32 in 2...4 {
      let added = ring.add(next, SecretBytes([UInt8](repeating: UInt8(next), count: 32)))
      #expect(added)
      for node in nodes {
        await node.endpoint.use(ring)
        await exchange()
      }
      let used = ring.makePrimary(next)
      #expect(used)
      for node in nodes {
        await node.endpoint.use(ring)
        await exchange()
      }
      let dropped = ring.remove(next - 1)
      #expect(dropped)
      for node in nodes {
        await node.endpoint.use(ring)
        await exchange()
      }
    }
    for node in nodes {
      let counters = await node.endpoint.counters
      #expect(counters.datagramsRefused.isEmpty && counters.datagramsAccepted == 2 * Int(sent))
    }
    loop.stop()
  }
}
