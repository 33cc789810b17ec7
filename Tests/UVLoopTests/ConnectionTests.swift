// TCP over the real loopback: bytes, back-pressure, ends.

import Base
import Testing
import UVLoop

@Suite(.timeLimit(.minutes(1)))
struct ConnectionTests {
  @Test(
    "bytes cross in both directions and a half-closed connection still answers", arguments: ["127.0.0.1:0", "[::1]:0"])
  func echo(_ text: String) async throws {
    let loop = UVLoop()
    let (server, client) = (Peer(loop), Peer(loop))
    let address = try await server.listen(try #require(SocketAddress(text)))
    try await client.connect(address)
    await server.until { $0.events == ["accepted"] }
    #expect(await client.with { $0.connections[0].peerAddress } == address)
    #expect(await server.with { $0.connections[0].localAddress } == address)
    await client.with { client in
      client.connections[0].write(Array("question".utf8)) { error in client.note(error == nil ? "written" : "failed") }
      client.connections[0].shutdown()
    }
    await server.until { $0.events.contains("ended") }
    #expect(await server.with { String(decoding: $0.received, as: UTF8.self) } == "question")
    await server.with { $0.connections[0].write(Array("answer".utf8)) }
    await client.until { $0.receivedCount == 6 }
    await server.with { $0.connections[0].close() }
    await client.until { $0.events.last == "ended" }
    #expect(await client.with { $0.events } == ["connected", "written", "ended"])
    loop.stop()
  }

  @Test("a reader that does not read bounds what its writer holds; all bytes arrive in the end")
  func backPressure() async throws {
    let loop = UVLoop()
    let (server, client) = (Peer(loop), Peer(loop))
    let address = try await server.listen(reading: false, keeping: false)
    try await client.connect(address)
    await server.until { $0.events == ["accepted"] }
    let piece = [UInt8](repeating: 7, count: 64 << 10)
    let taken = await client.with { client in
      let connection = client.connections[0]
      connection.queuedBytesMax = 1 << 20
      var taken = 0
      while connection.write(piece) != .refused { taken += piece.count }
      #expect(connection.queuedBytes <= connection.queuedBytesMax)
      #expect(connection.queuedBytes > connection.queuedBytesMax / 2)
      return taken
    }
    // The system's own buffers took a few MiB, no more.
    #expect(taken < 64 << 20)
    await server.with { $0.connections[0].startReading() }
    await server.until { $0.receivedCount == taken }
    #expect(await client.with { $0.connections[0].queuedBytes } == 0)
    loop.stop()
  }

  @Test("what is scheduled by several steps of one turn runs once, before the loop waits")
  func turn() async throws {
    let loop = UVLoop()
    let peer = Peer(loop)
    let turn = try await peer.with { peer in
      let turn = try UVTurn(on: peer.loop) { peer.note("turn") }
      for _ in 0..<3 { turn.schedule() }
      #expect(turn.isPending && peer.events.isEmpty)
      return Held(turn)
    }
    await peer.until { $0.events == ["turn"] }
    await peer.with { _ in
      #expect(!turn.value.isPending)
      turn.value.schedule()
    }
    await peer.until { $0.events == ["turn", "turn"] }
    await peer.with { _ in
      turn.value.schedule()
      turn.value.close()
    }
    loop.stop()
    #expect(loop.metrics.openHandles == 0)
    #expect(await peer.with { $0.events } == ["turn", "turn"])
  }

  /// Used on the loop only.
  private struct Held: @unchecked Sendable {
    let value: UVTurn
    init(_ value: UVTurn) { self.value = value }
  }

  @Test("nobody there: the end is reported once, with its reason")
  func refused() async throws {
    let loop = UVLoop()
    let (server, client) = (Peer(loop), Peer(loop))
    let address = try await server.listen()
    await server.with { server in server.listener!.close { server.note("gone") } }
    await server.until { $0.events == ["gone"] }
    try await client.connect(address)
    #expect(await client.with { $0.events } == ["closed refused"])
    loop.stop()
  }

  @Test("a cut connection ends both sides and everything that was queued is answered")
  func cut() async throws {
    let loop = UVLoop()
    let (server, client) = (Peer(loop), Peer(loop))
    let address = try await server.listen(reading: false)
    try await client.connect(address)
    await server.until { $0.events == ["accepted"] }
    let piece = [UInt8](repeating: 7, count: 16 << 20)
    await client.with { client in
      client.connections[0].queuedBytesMax = 64 << 20
      let outcome = client.connections[0].write(piece) { error in client.note(error == nil ? "written" : "failed") }
      #expect(outcome == .queued)
    }
    await server.with { $0.connections[0].close() }
    await client.until { $0.events.contains { $0.hasPrefix("closed") } }
    #expect(await client.with { $0.events } == ["connected", "failed", "closed reset"])
    #expect(await client.with { $0.connections[0].queuedBytes } == 0)
    #expect(await client.with { $0.connections[0].write([1]) } == .refused)
    loop.stop()
  }

  @Test("a write to a peer that is gone is an error, not a signal")
  func broken() async throws {
    let loop = UVLoop()
    let (server, client) = (Peer(loop), Peer(loop))
    let address = try await server.listen()
    try await client.connect(address)
    await server.until { $0.events == ["accepted"] }
    await server.with { $0.connections[0].close() }
    await client.until { $0.events.contains("ended") }
    // The first one draws the reset, a later one meets the broken connection.
    await client.with { client in
      client.timers = [
        try! UVTimer(on: client.loop) { _ in if client.connections[0].write([1]) == .refused { client.note() } }
      ]
      client.timers[0].start(after: .milliseconds(1), every: .milliseconds(1))
    }
    await client.until { $0.events.last == "closed reset" }
    loop.stop()
  }
}
