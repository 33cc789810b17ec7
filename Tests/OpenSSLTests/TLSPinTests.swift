// A joiner's trust: the pinned authority must be in the chain and must have signed the leaf; nothing else counts.

import Base
import OpenSSL
import Testing

struct TLSPinTests {
  static func leaf(
    _ fixture: TLSFixture, role: X509Identity.Role = .node, validity: ClosedRange<Int64> = TLSFixture.current
  ) throws -> X509Certificate {
    try X509Certificate(
      pem: fixture.credentials(TLSFixture.identity(2, role: role), validity: validity).certificate)
  }

  @Test("a chain is judged by the pinned authority alone")
  func judges() throws {
    let (ours, theirs) = (try TLSFixture(), try TLSFixture())
    let (authority, foreign) = (ours.authority.certificate, theirs.authority.certificate)
    let pin = TLSPin(authority: authority.fingerprint)
    let node = try TLSFixture.identity(2)
    #expect(try pin.judge([Self.leaf(ours), authority]) == .success(node))
    #expect(try pin.judge([Self.leaf(ours), foreign, authority]) == .success(node))
    #expect(pin.judge([]) == .failure(.noCertificate))
    #expect(try pin.judge([Self.leaf(ours)]) == .failure(.wrongPin))
    #expect(try pin.judge([Self.leaf(theirs), foreign]) == .failure(.wrongPin))
    // Whoever has seen our authority's certificate may show it, which proves nothing.
    #expect(try pin.judge([Self.leaf(theirs), authority]) == .failure(.foreignAuthority))
    #expect(try pin.judge([Self.leaf(theirs), foreign, authority]) == .failure(.foreignAuthority))
    #expect(try pin.judge([Self.leaf(ours, validity: TLSFixture.past), authority]) == .failure(.expired))
    #expect(try pin.judge([Self.leaf(ours, validity: TLSFixture.future), authority]) == .failure(.notYetValid))
    #expect(try pin.judge([Self.leaf(ours, role: .client), authority]) == .failure(.wrongPurpose))
    // The authority itself is no node.
    #expect(pin.judge([authority]) != .success(node))
    let other = TLSPin(authority: authority.fingerprint, cluster: "other")
    #expect(try other.judge([Self.leaf(ours), authority]) == .failure(.foreignCluster))
  }

  @Test("a joiner and a member agree on the protocol, or the handshake ends by name on both sides")
  func protocols() throws {
    let fixture = try TLSFixture()
    let pin = TLSPin(authority: fixture.authority.certificate.fingerprint)
    func meet(_ client: TLSSession, servesJoins: Bool) throws -> (client: [TLSEffect], server: [TLSEffect]) {
      let credentials = try fixture.credentials(TLSFixture.identity(2))
      let server = TLSSession(
        try TLSContext(credentials, servesJoins: servesJoins), .accepting, expecting: .init())
      var (toServer, ends) = (client.start(), (client: [TLSEffect](), server: [TLSEffect]()))
      while !toServer.isEmpty {
        let answers = toServer.flatMap { server.feed($0.sent.span.bytes) }
        ends.server += answers.filter { !$0.isSend }
        toServer = answers.flatMap { client.feed($0.sent.span.bytes) }
        ends.client += toServer.filter { !$0.isSend }
        toServer = toServer.filter(\.isSend)
      }
      return ends
    }
    let joined = try meet(TLSSession(joining: pin), servesJoins: true)
    #expect(joined.client == [.established(try TLSFixture.identity(2))] && joined.server == [.joining])
    let closed = try meet(TLSSession(joining: pin), servesJoins: false)
    #expect(closed.client == [.closed(.refusedByPeer)] && closed.server == [.closed(.foreignProtocol)])
    let member = try meet(TLSSession(joining: pin, speaking: .fabric), servesJoins: true)
    #expect(member.server == [.closed(.noCertificate)])
  }

  @Test("a joiner refuses a server of TLS 1.2")
  func downgraded() throws {
    let session = TLSSession(joining: TLSPin(authority: [UInt8](repeating: 0, count: 32)))
    #expect(!session.start().isEmpty)
    let answer: [UInt8] = [22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 3] + SystemRandom.bytes(32) + [0, 0xc0, 0x2f, 0]
    #expect(session.feed(answer.span.bytes).last == .closed(.downgraded))
  }
}
