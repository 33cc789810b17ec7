// UDP sockets over the real loopback.

import Base
import Testing
import UVLoop

@Suite(.timeLimit(.minutes(1)))
struct DatagramTests {
  @Test("datagrams of every size cross, with their sender", arguments: ["127.0.0.1:0", "[::1]:0"])
  func sizes(_ text: String) async throws {
    let loop = UVLoop()
    let (a, b) = (Peer(loop), Peer(loop))
    let any = try #require(SocketAddress(text))
    let from = try await a.bind(any)
    let to = try await b.bind(any)
    #expect(from.port != 0 && from.port != to.port)
    let sizes = [0, 1, 1200, 9000, 65_507]
    for (i, size) in sizes.enumerated() {
      let bytes = [UInt8](repeating: UInt8(size % 251), count: size)
      #expect(await a.with { $0.socket!.send(bytes, to: to) } == .sent)
      await b.until { $0.datagrams.count == i + 1 }
      #expect(await b.with { $0.datagrams.last! } == bytes)
    }
    #expect(await b.with { Set($0.senders) } == [from])
    loop.stop()
  }

  @Test("a datagram that is too long or comes to a closed socket is dropped and counted")
  func dropped() async throws {
    let loop = UVLoop()
    let peer = Peer(loop)
    let own = try await peer.bind(.loopback())
    let long = [UInt8](repeating: 0, count: UVDatagramSocket.datagramBytesMax + 1)
    #expect(await peer.with { $0.socket!.send(long, to: own) } == .dropped)
    await peer.with { peer in peer.socket!.close { peer.note("gone") } }
    await peer.until { $0.events == ["gone"] }
    #expect(await peer.with { $0.socket!.send([1], to: own) } == .dropped)
    #expect(await peer.with { $0.socket!.dropped } == 2)
    #expect(await peer.with { $0.socket!.address } == nil)
    loop.stop()
  }

  @Test("an address that is taken or not ours is refused by name")
  func taken() async throws {
    let loop = UVLoop()
    let (a, b) = (Peer(loop), Peer(loop))
    let own = try await a.bind(.loopback())
    await #expect(throws: UVError(.address, "bind \(own)", name: "EADDRINUSE")) { _ = try await b.bind(own) }
    let foreign = try #require(SocketAddress("192.0.2.1:0"))
    await #expect(throws: UVError(.address, "bind \(foreign)", name: "EADDRNOTAVAIL")) { _ = try await b.bind(foreign) }
    loop.stop()
    #expect(loop.metrics.openHandles == 0)
  }
}
