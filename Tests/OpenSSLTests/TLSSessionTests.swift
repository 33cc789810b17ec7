// The TLS machine: two identities proved, bytes carried, every wrong peer refused by name.

import Base
import OpenSSL
import Testing

struct TLSSessionTests {
  @Test("two nodes learn each other's identity and carry bytes both ways", arguments: X509Key.Kind.allCases)
  func handshake(_ kind: X509Key.Kind) throws {
    let fixture = try TLSFixture(kind: kind)
    let (a, b) = (try TLSFixture.identity(1), try TLSFixture.identity(2, region: "us"))
    var pair = TLSPair(
      try fixture.context(a, kind: kind), try fixture.context(b, kind: kind), clientExpects: .init(id: b.id))
    pair.run()
    #expect(pair.clientEffects == [.established(b)])
    #expect(pair.serverEffects == [.established(a)])
    #expect(pair.client.peerValidUntil == TLSFixture.current.upperBound)
    let few: [UInt8] = [1, 2, 3]
    let question = SystemRandom.bytes(1 << 20)
    pair.deliver(pair.client.write(question.span.bytes), pair.server.write(few.span.bytes))
    #expect(pair.serverEffects.flatMap(\.opened) == question)
    #expect(pair.clientEffects.last == .plain(few))
    pair.deliver(pair.client.close(), [])
    #expect(pair.clientEffects.last == .closed(.orderly))
    #expect(pair.serverEffects.last == .closed(.orderly))
    #expect(pair.server.write(few.span.bytes).isEmpty && pair.client.feed(few.span.bytes).isEmpty)
  }

  @Test("bytes that arrive one by one make the same session")
  func dribble() throws {
    let fixture = try TLSFixture()
    let a = try fixture.context(TLSFixture.identity(1))
    let client = TLSSession(a, .connecting, expecting: .init())
    let server = TLSSession(a, .accepting, expecting: .init())
    var (toServer, toClient) = (client.start().flatMap(\.sent), [UInt8]())
    var heard: [TLSEffect] = []
    while !toServer.isEmpty || !toClient.isEmpty {
      let effects = toServer.flatMap { server.feed([UInt8]([$0]).span.bytes) }
      let answers = toClient.flatMap { client.feed([UInt8]([$0]).span.bytes) }
      heard += (effects + answers).filter { !$0.isSend }
      (toServer, toClient) = (answers.flatMap(\.sent), effects.flatMap(\.sent))
    }
    #expect(heard == [.established(try TLSFixture.identity(1)), .established(try TLSFixture.identity(1))])
  }

  struct Refusal: Sendable, CustomTestStringConvertible {
    var name: String
    var by: TLSClosure
    /// Makes the pair in which the server refuses the client.
    var pair: @Sendable (TLSFixture) throws -> TLSPair
    var testDescription: String { name }
  }

  static let refusals = [
    Refusal(name: "an expired certificate", by: .expired) { fixture in
      TLSPair(try fixture.context(TLSFixture.identity(1), validity: TLSFixture.past), try server(fixture))
    },
    Refusal(name: "a certificate of the future", by: .notYetValid) { fixture in
      TLSPair(try fixture.context(TLSFixture.identity(1), validity: TLSFixture.future), try server(fixture))
    },
    Refusal(name: "another authority, even of the same name", by: .foreignAuthority) { fixture in
      let foreign = try TLSFixture()
      let client = try foreign.context(TLSFixture.identity(1), trusting: [fixture.authority])
      return TLSPair(client, try server(fixture))
    },
    Refusal(name: "another cluster under the same authority", by: .foreignCluster) { fixture in
      TLSPair(try fixture.context(TLSFixture.identity(1, cluster: "other")), try server(fixture))
    },
    Refusal(name: "a client where only nodes may come", by: .wrongRole) { fixture in
      TLSPair(try fixture.context(TLSFixture.identity(1, role: .client)), try server(fixture))
    },
    Refusal(name: "another node than the expected one", by: .wrongPeer) { fixture in
      let own = try server(fixture)
      let wanted = TLSExpectation(id: NodeID(bits: 77))
      return TLSPair(try fixture.context(TLSFixture.identity(1)), own, serverExpects: wanted)
    },
  ]

  static func server(_ fixture: TLSFixture) throws -> TLSContext { try fixture.context(TLSFixture.identity(2)) }

  @Test("a server refuses by name, and no plain byte passes", arguments: refusals)
  func refused(_ refusal: Refusal) throws {
    var pair = try refusal.pair(try TLSFixture())
    pair.run()
    pair.deliver(pair.client.write([UInt8](repeating: 1, count: 3).span.bytes), [])
    #expect(pair.serverEffects == [.closed(refusal.by)])
    #expect(pair.server.isClosed && pair.server.peer == nil)
    // The client hears of it: by an alert, or by a goodbye when the certificate itself was in order. A client of
    // another cluster has refused the server first.
    let ends: [TLSEffect] = [.closed(.refusedByPeer), .closed(.orderly), .closed(.foreignCluster)]
    #expect(ends.contains(pair.clientEffects.last ?? .plain([])))
  }

  @Test("a client refuses a server with a client's certificate, an old one, or another id")
  func clientRefuses() throws {
    let fixture = try TLSFixture()
    let client = try fixture.context(TLSFixture.identity(1))
    let impostor = try fixture.context(TLSFixture.identity(2, role: .client))
    let old = try fixture.context(TLSFixture.identity(2), validity: TLSFixture.past)
    let other = try fixture.context(TLSFixture.identity(3))
    for (server, reason) in [(impostor, TLSClosure.wrongPurpose), (old, .expired), (other, .wrongPeer)] {
      var pair = TLSPair(client, server, clientExpects: .init(roles: [.node], id: NodeID(bits: 2)))
      pair.run()
      #expect(pair.clientEffects == [.closed(reason)])
      #expect(!pair.serverEffects.contains { if case .plain = $0 { true } else { false } })
    }
  }

  @Test("a peer of TLS 1.2 is refused on either side")
  func downgraded() throws {
    let context = try TLSFixture().context(TLSFixture.identity(1))
    let hello: [UInt8] =
      [22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3] + SystemRandom.bytes(32) + [0, 0, 2, 0xc0, 0x2f, 1, 0]
    let server = TLSSession(context, .accepting, expecting: .init())
    #expect(server.feed(hello.span.bytes).last == .closed(.downgraded))
    let answers: [[UInt8]] = [
      [21, 3, 3, 0, 2, 2, 70],
      [22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3] + SystemRandom.bytes(32) + [0, 0xc0, 0x2f, 0],
    ]
    for answer in answers {
      let client = TLSSession(context, .connecting, expecting: .init())
      #expect(!client.start().isEmpty)
      #expect(client.feed(answer.span.bytes).last == .closed(.downgraded))
    }
  }

  @Test("plain text, a cut transport, a deadline and an endless handshake end a session with their names")
  func other() throws {
    let context = try TLSFixture().context(TLSFixture.identity(1))
    func session() -> TLSSession { TLSSession(context, .accepting, expecting: .init()) }
    #expect(session().feed(Array("GET / HTTP/1.1\r\n".utf8).span.bytes) == [.closed(.plaintext)])
    #expect(session().transportEnded() == [.closed(.truncated)])
    #expect(session().abort(.handshakeTimeout) == [.closed(.handshakeTimeout)])
    // A handshake message that claims 16 KiB less one, in records of one byte: never whole.
    let endless = session()
    let (first, more): ([UInt8], [UInt8]) = ([22, 3, 1, 0, 4, 1, 0, 0x3f, 0xff], [22, 3, 1, 0, 1, 0])
    var effects = endless.feed(first.span.bytes)
    var rounds = 0
    while effects.isEmpty, rounds < 100_000 {
      effects = endless.feed(more.span.bytes)
      rounds += 1
    }
    #expect(endless.isClosed && rounds * 6 <= TLSSession.handshakeBytesMax + 6)
  }

  @Test("during a rotation of authorities both kinds of certificate are welcome")
  func rotation() throws {
    let (old, new) = (try TLSFixture(), try TLSFixture())
    let both = [old.authority, new.authority]
    let a = try old.context(TLSFixture.identity(1), trusting: both)
    let b = try new.context(TLSFixture.identity(2), trusting: both)
    var pair = TLSPair(a, b)
    pair.run()
    #expect(pair.client.isEstablished && pair.server.isEstablished)
  }

  @Test("one flipped bit anywhere ends a session without a plain byte")
  func fuzz() throws {
    let fixture = try TLSFixture()
    let (a, b) = (try fixture.context(TLSFixture.identity(1)), try fixture.context(TLSFixture.identity(2)))
    var random = SeededGenerator(seed: 11)
    let bytes = [UInt8](repeating: 1, count: 100)
    for round in 0..<1500 {
      var pair = TLSPair(a, b)
      var flight = 0
      let target = random.below(3)
      let spoil: (inout [UInt8]) -> Void = { bytes in
        if flight == target { bytes[random.below(bytes.count)] ^= UInt8(1 << random.below(8)) }
        flight += 1
      }
      pair.deliver(pair.client.start(), [], change: spoil)
      if pair.client.isEstablished && pair.server.isEstablished {
        // The flip hit one of the few bytes that the standard tells a peer to ignore; then it hits the data.
        flight = target
        pair.deliver(pair.client.write(bytes.span.bytes), [], change: spoil)
      } else {
        pair.deliver(pair.client.write(bytes.span.bytes), pair.server.write(bytes.span.bytes))
      }
      let all = pair.clientEffects + pair.serverEffects
      #expect(!all.contains { if case .plain = $0 { true } else { false } }, "round \(round)")
    }
  }
}
