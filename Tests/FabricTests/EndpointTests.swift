// Endpoints over the real loopback: questions, answers, limits, datagrams, renewal.

import Base
import Fabric
import Formats
import OpenSSL
import Testing
import UVLoop

/// Method 1 echoes, 2 never answers, 3 gives up, 4 answers with as many bytes as the question says; others are for nodes.
struct EchoService: FabricService {
  let heardDatagrams: AsyncStream<[UInt8]>.Continuation

  func permits(_ method: UInt16, to peer: X509Identity) -> Bool { peer.role == .node || method == 1 }

  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? {
    switch method {
    case 1: return question
    case 2:
      let forever = AsyncStream<Void> { _ in }
      for await _ in forever {}
      return nil
    case 4: return [UInt8](repeating: 4, count: Int(question[0]) << 20)
    default: return nil
    }
  }

  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) { heardDatagrams.yield(datagram) }
}

@Suite(.timeLimit(.minutes(1)))
struct EndpointTests {
  static func endpoint(
    _ loop: UVLoop, _ credentials: TLSCredentials, _ heard: AsyncStream<[UInt8]>.Continuation? = nil,
    change: (inout FabricConfiguration) -> Void = { _ in }
  ) async throws -> (FabricEndpoint, SocketAddress) {
    let keys = DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: 1, count: 32)))
    var configuration = FabricConfiguration(address: .loopback(), credentials: credentials, datagramKeys: keys)
    change(&configuration)
    let service = EchoService(heardDatagrams: heard ?? AsyncStream.makeStream(of: [UInt8].self).continuation)
    let endpoint = try FabricEndpoint(configuration, on: loop, service: service)
    return (endpoint, try await endpoint.start())
  }

  static let b = NodeID(bits: 2)

  @Test("questions of every size are answered over one link, many at once")
  func questions() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for size in [0, 1, 16 << 10, 64 << 10, 300_000, 8 << 20] + Array(repeating: 100, count: 200) {
        group.addTask {
          let question = [UInt8](repeating: UInt8(size % 251), count: size)
          let answer = try await a.ask(Self.b, at: address, method: 1, question, deadline: .seconds(50))
          #expect(answer == question)
        }
      }
      try await group.waitForAll()
    }
    #expect(await a.counters.links == 1)
    #expect(await b.counters.links == 1)
    await a.close()
    await b.close()
    loop.stop()
    #expect(loop.metrics.openHandles == 0)
  }

  @Test("deadline, cancelling, giving up, too large, not permitted, nobody there: each question ends with its reason")
  func failures() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2)) { $0.messageBytesMax = 1 << 20 }
    let (wide, wideAddress) = try await Self.endpoint(loop, infrastructure.credentials(3))
    let (small, _) = try await Self.endpoint(loop, infrastructure.credentials(4)) { $0.messageBytesMax = 1 << 20 }
    func code(
      _ endpoint: FabricEndpoint, _ id: UInt64, _ address: SocketAddress, _ method: UInt16, _ question: [UInt8],
      _ deadline: Duration = .seconds(50)
    ) async -> FabricError.Code? {
      do throws(FabricError) {
        _ = try await endpoint.ask(
          NodeID(bits: UInt128(id)), at: address, method: method, question, deadline: deadline)
        return nil
      } catch { return error.code }
    }
    #expect(await code(a, 2, address, 2, [1], .milliseconds(30)) == .deadline)
    #expect(await code(a, 2, address, 3, [1]) == .cancelled)
    #expect(await code(a, 2, address, 1, [UInt8](repeating: 1, count: 2 << 20)) == .cancelled)
    #expect(await code(a, 2, address, 1, [UInt8](repeating: 1, count: 9 << 20)) == .tooLarge)
    #expect(await code(small, 3, wideAddress, 4, [2]) == .tooLarge)
    #expect(await code(small, 3, wideAddress, 4, [1]) == nil)
    // Somebody else answers at that address.
    #expect(await code(a, 9, address, 1, [1]) == .refused)
    let task = Task { await code(a, 2, address, 2, [1]) }
    task.cancel()
    #expect(await task.value == .cancelled)
    // A client's certificate where only nodes may call, then one that may call but not ask that.
    let (client, _) = try await Self.endpoint(loop, infrastructure.credentials(5, role: .client))
    #expect([.refused, .lost].contains(await code(client, 2, address, 1, [1])))
    let (open, openAddress) = try await Self.endpoint(loop, infrastructure.credentials(6)) {
      $0.roles = [.node, .client]
    }
    #expect(await code(client, 6, openAddress, 1, [1]) == nil)
    #expect(await code(client, 6, openAddress, 3, [1]) == .refused)
    #expect(await open.counters.refused == ["method": 1])
    #expect(await b.counters.linksEnded["tls.wrongRole"] == 1)
    await open.close()
    #expect([.lost, .unreachable].contains(await code(client, 6, openAddress, 1, [1])))
    loop.stop()
    #expect(await code(a, 2, address, 1, [1]) != nil)
    _ = wide
  }

  @Test("sealed datagrams arrive at the same port; noise is refused and counted")
  func datagrams() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2), continuation)
    let noise = LinkPeer(loop)
    #expect(try await noise.shout([UInt8](repeating: 0, count: 60_000), to: address))
    #expect(try await noise.shout([UInt8](repeating: 0, count: 100), to: address))
    #expect(await a.send(Array("beat".utf8), to: address))
    #expect(await !a.send([UInt8](repeating: 0, count: 1400), to: address))
    var heard = stream.makeAsyncIterator()
    #expect(await heard.next() == Array("beat".utf8))
    #expect(await b.counters.datagramsRefused == ["tooLong": 1, "foreign": 1])
    #expect(await b.counters.datagramsAccepted == 1)
    loop.stop()
  }

  @Test("a node whose clock was set back hears nothing that an earlier run of it may have heard")
  func clockSetBack() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (stream, continuation) = AsyncStream.makeStream(of: [UInt8].self)
    let now = UVLoop.unixMicroseconds()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2), continuation) {
      $0.notBefore = now + 30_000_000
    }
    let (c, _) = try await Self.endpoint(loop, infrastructure.credentials(3)) { $0.notBefore = now + 4_000_000 }
    #expect(await a.send(Array("replayed".utf8), to: address))
    while await b.counters.datagramsRefused["beforeStart"] != 1 { await Task.yield() }
    // What a node sends goes on behind its own earlier run, too.
    #expect(await c.send(Array("early".utf8), to: address))
    while await b.counters.datagramsRefused["beforeStart"] != 2 { await Task.yield() }
    continuation.finish()
    for await _ in stream { Issue.record("it was heard") }
    #expect(await b.counters.datagramsDamaged == 0)
    #expect(await b.counters.acceptsFailed == 0)
    loop.stop()
  }

  @Test("a renewed certificate serves the next link while the present one goes on")
  func renewal() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (c, _) = try await Self.endpoint(loop, infrastructure.credentials(3))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2))
    #expect(try await a.ask(Self.b, at: address, method: 1, [1], deadline: .seconds(50)) == [1])
    try await b.use(infrastructure.credentials(2))
    #expect(try await a.ask(Self.b, at: address, method: 1, [2], deadline: .seconds(50)) == [2])
    #expect(try await c.ask(Self.b, at: address, method: 1, [3], deadline: .seconds(50)) == [3])
    #expect(await b.counters.linksEnded.isEmpty)
    loop.stop()
  }
}
