// An actor pinned to a loop that owns links of one test and can be waited for.

import Base
import Fabric
import Formats
import Glibc
import OpenSSL
import UVLoop

actor LinkPeer {
  nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  private struct Waiter {
    var condition: (isolated LinkPeer) -> Bool
    var continuation: CheckedContinuation<Void, Never>
  }
  private var waiters: [Waiter] = []
  private var listener: UVListener?
  private var mute: [UVConnection] = []
  var links: [FabricLink] = []
  var raw: UVConnection?
  var rawConnected = false
  var rawEnded = false
  var effects: [FabricEffect] = []
  var ends: [FabricLink.End] = []
  var established: [X509Identity] = []
  var received = 0
  /// Reads what comes; otherwise received bytes are never consumed.
  var consumes = true
  var limits = FabricLimits()
  var handshakeTimeout: Duration = .seconds(20)

  init(_ loop: UVLoop) { self.loop = loop }

  @discardableResult
  func with<T: Sendable>(_ body: @Sendable (isolated LinkPeer) throws -> T) rethrows -> T { try body(self) }

  func until(_ condition: @escaping @Sendable (isolated LinkPeer) -> Bool) async {
    if condition(self) { return }
    await withCheckedContinuation { waiters.append(Waiter(condition: condition, continuation: $0)) }
  }

  func note() {
    let ready = waiters.filter { $0.condition(self) }
    waiters.removeAll { $0.condition(self) }
    for waiter in ready { waiter.continuation.resume() }
  }

  func listen(_ credentials: TLSCredentials, expecting: TLSExpectation = .init()) throws -> SocketAddress {
    let context = try TLSContext(credentials)
    listener = try UVListener(on: loop, bind: .loopback()) { connection in
      guard
        let link = try? FabricLink(
          accepted: connection, context: context, expecting: expecting, limits: self.limits,
          handshakeTimeout: self.handshakeTimeout)
      else { return }
      self.watch(link)
    }
    return listener!.address!
  }

  func call(_ address: SocketAddress, _ credentials: TLSCredentials, expecting: TLSExpectation = .init()) throws {
    watch(
      try FabricLink(
        calling: address, on: loop, context: try TLSContext(credentials), expecting: expecting, limits: limits,
        handshakeTimeout: handshakeTimeout))
  }

  /// Calls without a certificate.
  func join(_ address: SocketAddress, pin: [UInt8], speaking spoken: TLSProtocol = .join) throws {
    watch(
      try FabricLink(
        joining: address, on: loop, pin: TLSPin(authority: pin), speaking: spoken,
        limits: .joining(helloTimeout: 20_000_000_000)))
  }

  /// Takes connections and never says a word.
  func listenMute() throws -> SocketAddress {
    listener = try UVListener(on: loop, bind: .loopback()) { self.mute.append($0) }
    return listener!.address!
  }

  func closeMute() {
    listener?.close()
    for connection in mute { connection.close() }
  }

  /// A connection that speaks no TLS by itself.
  func callRaw(_ address: SocketAddress, sending bytes: [UInt8], from source: SocketAddress? = nil) throws {
    var handlers = UVConnection.Handlers()
    handlers.connected = {
      self.rawConnected = true
      self.raw!.startReading()
      self.raw!.write(bytes)
      self.note()
    }
    handlers.ended = {
      self.rawEnded = true
      self.note()
    }
    handlers.closed = { _ in
      self.rawEnded = true
      self.note()
    }
    raw = try UVConnection(on: loop, to: address, from: source, handlers: handlers)
  }

  /// Sends one datagram that nobody sealed.
  func shout(_ bytes: [UInt8], to address: SocketAddress) throws -> Bool {
    let socket = try UVDatagramSocket(on: loop, bind: .loopback()) { _, _ in }
    defer { socket.close() }
    return socket.send(bytes, to: address) == .sent
  }

  private func watch(_ link: FabricLink) {
    links.append(link)
    let index = links.count - 1
    link.onEstablished = { identity in
      self.established.append(identity)
      self.note()
    }
    link.onEffect = { effect in self.saw(effect, self.links[index]) }
    link.onEnd = { end in
      self.ends.append(end)
      self.note()
    }
    note()
  }

  /// The side that listens answers a finished question with one byte.
  private func saw(_ effect: FabricEffect, _ link: FabricLink) {
    if case .data(let id, let bytes, let ends) = effect {
      received += bytes.count
      if consumes { link.handle(.consumed(id, bytes.count)) }
      if bytes.count <= 64 || ends { effects.append(effect) }
      if ends, listener != nil { link.handle(.send(id, [1], ends: true)) }
    } else {
      effects.append(effect)
    }
    note()
  }
}

struct Infrastructure: Sendable {
  static let now = Int64(time(nil))
  let authority: TLSCredentials

  init() throws {
    let authority = try X509Authority.make(name: "test", validity: (Self.now - 60)...(Self.now + 3600))
    self.authority = TLSCredentials(authorities: [], certificate: authority.certificate.pem, key: authority.key.pem)
  }

  var pin: [UInt8] { get throws { try X509Certificate(pem: authority.certificate).fingerprint } }

  func credentials(
    _ number: UInt64, role: X509Identity.Role = .node, expired: Bool = false, seconds: Int64 = 3600,
    trusting: TLSCredentials? = nil
  ) throws -> TLSCredentials {
    let signer = try X509Authority(
      certificate: X509Certificate(pem: authority.certificate), key: X509Key(pem: authority.key))
    let key = X509Key.generate()
    let identity = try X509Identity(cluster: "test", region: "eu", id: NodeID(bits: UInt128(number)), role: role)
    let validity = expired ? (Self.now - 60)...(Self.now - 30) : (Self.now - 60)...(Int64(time(nil)) + seconds)
    let certificate = try signer.issue(X509Request.make(key), for: identity, validity: validity)
    return TLSCredentials(
      authorities: [(trusting ?? authority).certificate], certificate: certificate.pem, key: key.pem)
  }
}
