// A small public-key infrastructure for tests, and a wire of memory between two sessions.

import Base
import Glibc
import OpenSSL

struct TLSFixture {
  static let now = Int64(time(nil))
  static let current = (now - 60)...(now + 3600)
  static let past = (now - 7200)...(now - 60)
  static let future = (now + 3600)...(now + 7200)

  let authority: X509Authority

  init(kind: X509Key.Kind = .ed25519) throws {
    authority = try X509Authority.make(name: "test authority", kind: kind, validity: Self.current)
  }

  static func identity(
    _ number: UInt64, cluster: String = "test", region: String = "eu", role: X509Identity.Role = .node
  ) throws -> X509Identity {
    try X509Identity(cluster: cluster, region: region, id: NodeID(bits: UInt128(number)), role: role)
  }

  func credentials(
    _ identity: X509Identity, kind: X509Key.Kind = .ed25519, validity: ClosedRange<Int64> = current,
    trusting authorities: [X509Authority]? = nil
  ) throws -> TLSCredentials {
    let key = X509Key.generate(kind)
    let certificate = try authority.issue(X509Request.make(key), for: identity, validity: validity)
    let trusted = (authorities ?? [authority]).map { $0.certificate.pem }
    return TLSCredentials(authorities: trusted, certificate: certificate.pem, key: key.pem)
  }

  func context(
    _ identity: X509Identity, kind: X509Key.Kind = .ed25519, validity: ClosedRange<Int64> = current,
    trusting authorities: [X509Authority]? = nil
  ) throws -> TLSContext {
    try TLSContext(credentials(identity, kind: kind, validity: validity, trusting: authorities))
  }
}

/// Two sessions and what each has reported.
struct TLSPair {
  let client: TLSSession
  let server: TLSSession
  var clientEffects: [TLSEffect] = []
  var serverEffects: [TLSEffect] = []

  init(
    _ client: TLSContext, _ server: TLSContext, clientExpects: TLSExpectation = .init(),
    serverExpects: TLSExpectation = .init()
  ) {
    self.client = TLSSession(client, .connecting, expecting: clientExpects)
    self.server = TLSSession(server, .accepting, expecting: serverExpects)
  }

  mutating func run() { deliver(client.start(), []) }

  /// Carries bytes back and forth until both are silent; `change` may spoil what is under way.
  mutating func deliver(
    _ fromClient: [TLSEffect], _ fromServer: [TLSEffect], change: (inout [UInt8]) -> Void = { _ in }
  ) {
    var (fromClient, fromServer) = (fromClient, fromServer)
    while !fromClient.isEmpty || !fromServer.isEmpty {
      clientEffects += fromClient.filter { !$0.isSend }
      serverEffects += fromServer.filter { !$0.isSend }
      var toServer = fromClient.flatMap(\.sent)
      var toClient = fromServer.flatMap(\.sent)
      if !toServer.isEmpty { change(&toServer) }
      if !toClient.isEmpty { change(&toClient) }
      fromServer = server.feed(toServer.span.bytes)
      fromClient = client.feed(toClient.span.bytes)
    }
  }
}

extension TLSEffect {
  var isSend: Bool { if case .send = self { true } else { false } }
  var sent: [UInt8] { if case .send(let bytes) = self { bytes } else { [] } }
  var opened: [UInt8] { if case .plain(let bytes) = self { bytes } else { [] } }
}
