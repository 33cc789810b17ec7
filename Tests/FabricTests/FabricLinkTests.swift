// Links over the real loopback: a conversation, every wrong peer, back-pressure, and beats beside bulk.

import Base
import Fabric
import Formats
import OpenSSL
import Testing
import UVLoop

@Suite(.timeLimit(.minutes(2)))
struct FabricLinkTests {
  static let normal = FabricOpening(method: 1, priority: .normal)
  static let bulk = FabricOpening(method: 2, priority: .bulk)
  static let urgent = FabricOpening(method: 3, priority: .urgent)

  /// Server and client on one loop, their link open.
  static func pair(
    _ loop: UVLoop, _ change: @Sendable (isolated LinkPeer) -> Void = { _ in }
  ) async throws -> (server: LinkPeer, client: LinkPeer) {
    let infrastructure = try Infrastructure()
    let (server, client) = (LinkPeer(loop), LinkPeer(loop))
    await server.with(change)
    let address = try await server.listen(infrastructure.credentials(2))
    try await client.call(address, infrastructure.credentials(1), expecting: .init(id: NodeID(bits: 2)))
    await client.until { $0.effects == [.ready(version: 1)] }
    await server.until { $0.effects == [.ready(version: 1)] }
    return (server, client)
  }

  @Test("a question is answered, both sides know each other, and a goodbye ends the link")
  func question() async throws {
    let loop = UVLoop()
    let (server, client) = try await Self.pair(loop)
    #expect(await server.with { $0.established.map(\.id) } == [NodeID(bits: 1)])
    #expect(await client.with { $0.established.map(\.id) } == [NodeID(bits: 2)])
    await client.with { $0.links[0].handle(.open(Self.normal, [5, 6], ends: true)) }
    await client.until { $0.effects.last == .data(1, [1], ends: true) }
    #expect(await server.with { $0.effects.suffix(2) } == [.accepted(1, Self.normal), .data(1, [5, 6], ends: true)])
    await client.with { $0.links[0].close() }
    await server.until { !$0.ends.isEmpty }
    await client.until { !$0.ends.isEmpty }
    #expect(await client.with { $0.ends } == [.fabric(.here)])
    #expect(await server.with { $0.ends } == [.fabric(.peer)])
    loop.stop()
    #expect(loop.metrics.openHandles == 0)
  }

  @Test("a foreign authority, an expired certificate, a client's role and the wrong node are refused by name")
  func refused() async throws {
    let loop = UVLoop()
    let (ours, theirs) = (try Infrastructure(), try Infrastructure())
    let cases: [(TLSCredentials, TLSClosure)] = [
      (try theirs.credentials(1, trusting: ours.authority), .foreignAuthority),
      (try ours.credentials(1, expired: true), .expired), (try ours.credentials(1, role: .client), .wrongRole),
    ]
    for (credentials, reason) in cases {
      let (server, client) = (LinkPeer(loop), LinkPeer(loop))
      let address = try await server.listen(ours.credentials(2))
      try await client.call(address, credentials)
      await server.until { !$0.ends.isEmpty }
      await client.until { !$0.ends.isEmpty }
      #expect(await server.with { $0.ends } == [.tls(reason)])
      #expect(await server.with { $0.effects.isEmpty && $0.established.isEmpty })
    }
    let (server, client) = (LinkPeer(loop), LinkPeer(loop))
    let address = try await server.listen(ours.credentials(2))
    try await client.call(address, ours.credentials(1), expecting: .init(id: NodeID(bits: 3)))
    await client.until { !$0.ends.isEmpty }
    #expect(await client.with { $0.ends } == [.tls(.wrongPeer)])
    loop.stop()
  }

  @Test("plain text, silence, and a cut in the middle of a handshake end a link by name")
  func strangers() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let server = LinkPeer(loop)
    await server.with { $0.handshakeTimeout = .milliseconds(50) }
    let address = try await server.listen(infrastructure.credentials(2))
    let text = LinkPeer(loop)
    try await text.callRaw(address, sending: Array("GET / HTTP/1.1\r\n\r\n".utf8))
    await text.until { $0.rawEnded }
    await server.until { $0.ends == [.tls(.plaintext)] }
    let mute = LinkPeer(loop)
    try await mute.callRaw(address, sending: [])
    await mute.until { $0.rawEnded }
    await server.until { $0.ends.last == .tls(.handshakeTimeout) }
    await server.with { $0.handshakeTimeout = .seconds(20) }
    let cut = LinkPeer(loop)
    try await cut.callRaw(address, sending: [22, 3, 1, 0, 200, 1, 0])
    await server.until { $0.links.count == 3 }
    await cut.until { $0.rawConnected }
    await cut.with { $0.raw!.shutdown() }
    await server.until { $0.ends.count == 3 }
    #expect(await server.with { $0.ends.last } == .tls(.truncated))
    #expect(await server.with { $0.effects.isEmpty })
    loop.stop()
  }

  @Test("beats are answered while 64 MiB of bulk pass, none behind more than a few of its frames")
  func beats() async throws {
    let loop = UVLoop()
    let (server, client) = try await Self.pair(loop)
    let piece = [UInt8](repeating: 1, count: 128 << 10)
    await client.with { $0.links[0].handle(.open(Self.bulk, [], ends: false)) }
    var (sent, beats, between) = (0, 0, [Int]())
    while sent < 64 << 20 {
      // Fill the buffer of the bulk stream, then ask a beat and wait for its answer.
      sent += await client.with { client in
        var taken = 0
        let refused = client.effects.filter { $0 == .refused(1) }.count
        while true {
          client.links[0].handle(.send(1, piece, ends: false))
          if client.effects.filter({ $0 == .refused(1) }).count > refused { return taken }
          taken += piece.count
          if taken >= 4 << 20 { return taken }
        }
      }
      let before = await server.with { $0.received }
      let id = await client.with { client in
        defer { client.links[0].handle(.open(Self.urgent, [7], ends: true)) }
        return client.links[0].machine.nextStream
      }
      await client.until { $0.effects.contains(.data(id, [1], ends: true)) }
      between.append(await server.with { $0.received } - before)
      beats += 1
      await client.with { client in client.effects.removeAll { if case .data = $0 { true } else { false } } }
    }
    await server.until { [sent, beats] in $0.received == sent + beats }
    #expect(beats >= 8)
    // What was already with the system or in the queue of this side, not the megabytes behind it.
    #expect(between.sorted()[between.count / 2] <= 4 << 20)
    loop.stop()
  }

  @Test("a peer that stops reading bounds what the sender holds")
  func backPressure() async throws {
    let loop = UVLoop()
    let (server, client) = try await Self.pair(loop) { $0.consumes = false }
    let piece = [UInt8](repeating: 1, count: 64 << 10)
    for stream in 0..<8 {
      await client.with { client in
        let id = client.links[0].machine.nextStream
        client.links[0].handle(.open(Self.bulk, [], ends: false))
        while !client.effects.contains(.refused(id)) { client.links[0].handle(.send(id, piece, ends: false)) }
      }
      await server.until { $0.received == (stream + 1) * Int($0.limits.window) }
    }
    let limits = FabricLimits()
    #expect(await client.with { $0.links[0].machine.waitingBytes } <= 8 * limits.sendBufferBytesMax)
    // The link itself is as alive as before.
    await client.with { $0.links[0].handle(.open(Self.urgent, [7], ends: true)) }
    await client.until { $0.effects.last == .data(17, [1], ends: true) }
    loop.stop()
  }

  @Test("a loop that stops ends every link and every stream")
  func stopped() async throws {
    let loop = UVLoop()
    let (server, client) = try await Self.pair(loop)
    await client.with { $0.links[0].handle(.open(Self.normal, [1], ends: false)) }
    await server.until { $0.effects.contains(.accepted(1, Self.normal)) }
    loop.stop()
    #expect(loop.metrics.openHandles == 0)
    #expect(await client.with { $0.effects.suffix(2) } == [.ended(1, .connectionClosed), .closed(.transport)])
    #expect(await client.with { $0.ends.count } == 1)
    #expect(await server.with { $0.ends.count } == 1)
  }

  @Test("a link does not outlive its peer's certificate")
  func outlived() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (server, client) = (LinkPeer(loop), LinkPeer(loop))
    let address = try await server.listen(infrastructure.credentials(2))
    try await client.call(address, infrastructure.credentials(1, seconds: 1))
    await server.until { $0.effects == [.ready(version: 1)] }
    await server.until { !$0.ends.isEmpty }
    #expect(await server.with { $0.ends } == [.tls(.expired)])
    await client.until { !$0.ends.isEmpty }
    loop.stop()
  }
}
