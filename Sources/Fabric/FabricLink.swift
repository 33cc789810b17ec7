// The thin shell of one connection: UVConnection, TLSSession, FabricMachine and one timer, joined on the loop.
//
// It decides nothing. Bytes go from the socket through TLS into the machine, the machine's effects go back through TLS to
// the socket, and the machine hears how much more the socket may take: `queueBytes` ahead and no more, so that an urgent
// frame never stands behind a long queue of this side's making. What the steps of one turn of the loop want to send
// leaves in one write at its end, or as soon as it is worth one. A handshake has a deadline of its own.
//
// Not Sendable: it lives on its loop, owned by an actor that is pinned there.

package import Formats
package import OpenSSL
package import UVLoop

package final class FabricLink {
  package enum End: Equatable, Sendable {
    case tls(TLSClosure)
    case fabric(FabricClosure)
    case transport(UVError?)
    /// This side ended it for what the peer is or asked.
    case refused(FabricRefusal)
  }

  /// TLS proved the peer.
  package var onEstablished: (X509Identity) -> Void = { _ in }
  /// TLS is up, and the peer is one that has no certificate yet.
  package var onJoining: () -> Void = {}
  package var onEffect: (FabricEffect) -> Void = { _ in }
  /// Once, after everything else.
  package var onEnd: (End) -> Void = { _ in }

  static let queueBytes = 256 << 10
  /// So much goes out before other handles of the loop have their turn.
  static let burstBytes = 512 << 10
  /// So much is worth a write of its own.
  static let writeBytes = 64 << 10
  static let handshakeTimeout: Duration = .seconds(5)

  private let connection: UVConnection
  private let session: TLSSession
  package private(set) var machine: FabricMachine
  private let limits: FabricLimits
  private let timer: UVTimer
  /// When it rings: never after the machine's next tick, but perhaps before.
  private var alarm: FabricInstant?
  private var end: End?
  /// Known before the last bytes have been written.
  private var reason: End?
  /// Bytes that the socket has taken at once since the loop last turned.
  private var burst = 0
  private let pacer: UVTimer
  /// What the machine has sent since the last write, and what writes it before the loop waits.
  private var unwritten: [UInt8] = []
  private let flusher: UVTurn
  private var isWorking = false
  /// TLS said who, or that, the peer is.
  private var wasProved = false
  private var peerEnded = false
  private var events: [FabricEvent] = []

  package var peer: X509Identity? { session.peer }
  package var peerAddress: SocketAddress? { connection.peerAddress }
  package var isOpen: Bool { end == nil && machine.isOpen }
  /// On its way out; what is asked on it now gets no answer.
  package var isEnding: Bool { end != nil }
  package var queuedBytes: Int { connection.queuedBytes }

  /// Calls `address`; `handshakeTimeout` counts from here.
  package convenience init(
    calling address: SocketAddress, on loop: UVLoop, context: TLSContext, expecting expectation: TLSExpectation,
    limits: FabricLimits = FabricLimits(), handshakeTimeout: Duration = handshakeTimeout
  ) throws(UVError) {
    let connection = try UVConnection(on: loop, to: address, handlers: .init())
    try self.init(
      connection, .connecting, TLSSession(context, .connecting, expecting: expectation), limits, handshakeTimeout)
    connection.handlers.connected = { [self] in
      connection.startReading()
      run(session.start())
    }
  }

  /// Calls `address` as somebody who has no certificate yet; the server must fit `pin`.
  package convenience init(
    joining address: SocketAddress, on loop: UVLoop, pin: TLSPin, speaking spoken: TLSProtocol = .join,
    limits: FabricLimits, handshakeTimeout: Duration = handshakeTimeout
  ) throws(UVError) {
    let connection = try UVConnection(on: loop, to: address, handlers: .init())
    try self.init(connection, .connecting, TLSSession(joining: pin, speaking: spoken), limits, handshakeTimeout)
    connection.handlers.connected = { [self] in
      connection.startReading()
      run(session.start())
    }
  }

  /// Takes over a connection that a listener accepted.
  package convenience init(
    accepted connection: UVConnection, context: TLSContext, expecting expectation: TLSExpectation,
    limits: FabricLimits = FabricLimits(), handshakeTimeout: Duration = handshakeTimeout
  ) throws(UVError) {
    try self.init(
      connection, .accepting, TLSSession(context, .accepting, expecting: expectation), limits, handshakeTimeout)
    connection.startReading()
  }

  private init(
    _ connection: UVConnection, _ side: FabricMachine.Side, _ session: TLSSession, _ limits: FabricLimits,
    _ handshakeTimeout: Duration
  ) throws(UVError) {
    self.connection = connection
    self.session = session
    self.limits = limits
    machine = FabricMachine(side, limits: limits)
    var (fire, pace, flush): (() -> Void, () -> Void, () -> Void) = ({}, {}, {})
    do throws(UVError) {
      timer = try UVTimer(on: connection.loop) { _ in fire() }
      pacer = try UVTimer(on: connection.loop) { _ in pace() }
      flusher = try UVTurn(on: connection.loop) { flush() }
    } catch {
      connection.close()
      throw error
    }
    fire = { [weak self] in self?.timerFired() }
    pace = { [weak self] in
      self?.burst = 0
      self?.makeRoom()
    }
    flush = { [weak self] in self?.flush() }
    timer.start(after: handshakeTimeout)
    connection.queuedBytesMax = 16 << 20
    connection.handlers.received = { [self] bytes in run(session.feed(bytes)) }
    connection.handlers.ended = { [self] in
      peerEnded = true
      run(session.transportEnded())
    }
    connection.handlers.closed = { [self] error in closed(error) }
  }

  /// Nanoseconds of the clock that the machine counts by.
  package static func now() -> FabricInstant { FabricInstant(clamping: UVLoop.bootNanoseconds()) }

  /// Feeds the machine. An event that comes while effects are being run waits its turn.
  package func handle(_ event: FabricEvent) {
    events.append(event)
    guard !isWorking else { return }
    isWorking = true
    while !events.isEmpty, end == nil {
      let event = events.removeFirst()
      for effect in machine.handle(event, at: Self.now()) { perform(effect) }
    }
    events.removeAll(keepingCapacity: true)
    isWorking = false
    schedule()
  }

  /// What the next `open` will be called, those included that wait for effects to be run.
  package var nextStream: StreamID {
    machine.nextStream + 2 * StreamID(events.count { if case .open = $0 { true } else { false } })
  }

  /// How much a `send` may bring now, less what waits for effects to be run.
  package func sendRoom(of id: StreamID) -> Int {
    let waiting = events.reduce(0) { sum, event in
      if case .send(id, let bytes, _) = event { sum + bytes.count } else { sum }
    }
    return machine.sendRoom(of: id) - waiting
  }

  /// Says goodbye and closes.
  package func close(_ goodbye: FabricGoodbye = .stopping) {
    guard end == nil else { return }
    if session.isEstablished { handle(.leave(goodbye)) } else { run(session.abort(.orderly)) }
  }

  /// Ends it by a name of this side's.
  func refuse(_ refusal: FabricRefusal) {
    guard end == nil else { return }
    reason = reason ?? .refused(refusal)
    close(.refused)
  }

  private func perform(_ effect: FabricEffect) {
    switch effect {
    case .transmit(let bytes):
      if unwritten.isEmpty { unwritten = bytes } else { unwritten += bytes }
      if unwritten.count >= Self.writeBytes { flush() } else { flusher.schedule() }
    case .closed(let cause):
      onEffect(effect)
      reason = reason ?? .fabric(cause)
      flush()
      run(session.close())
    default: onEffect(effect)
    }
  }

  private func flush() {
    guard end == nil, !unwritten.isEmpty else { return }
    let bytes = unwritten
    unwritten = []
    run(session.write(bytes.span.bytes))
  }

  private func run(_ effects: [TLSEffect]) {
    for effect in effects {
      switch effect {
      case .send(let bytes): write(bytes)
      case .established(let identity):
        wasProved = true
        onEstablished(identity)
        begin()
      case .joining:
        wasProved = true
        machine = FabricMachine(.accepting, limits: .joining(helloTimeout: limits.helloTimeout))
        onJoining()
        begin()
      case .plain(let bytes): handle(.received(bytes))
      case .closed(let cause): finish(reason ?? .tls(cause))
      }
    }
  }

  private func begin() {
    handle(.started)
    handle(.room(Self.queueBytes))
  }

  /// Each write that leaves tells the machine how much more may wait.
  private func write(_ bytes: [UInt8]) {
    guard connection.isOpen else { return }
    burst += bytes.count
    connection.write(bytes) { [weak self] error in if error == nil { self?.makeRoom() } }
  }

  private func makeRoom() {
    guard end == nil, session.isEstablished else { return }
    if burst < Self.burstBytes {
      handle(.room(Self.queueBytes - connection.queuedBytes - unwritten.count))
    } else if !pacer.isRunning {
      pacer.start(after: .zero)
    }
  }

  private func timerFired() {
    alarm = nil
    guard end == nil else { return }
    guard session.isEstablished else { return run(session.abort(.handshakeTimeout)) }
    // A certificate that ends while its link is open takes the link along; a renewed one makes another.
    if let last = session.peerValidUntil, UVLoop.unixMicroseconds() / 1_000_000 > last {
      return run(session.abort(.expired))
    }
    handle(.tick)
  }

  private func schedule() {
    guard end == nil, let due = machine.nextTick, due < alarm ?? .max else { return }
    alarm = due
    timer.start(after: .nanoseconds(max(due - Self.now(), 0)))
  }

  private func finish(_ reason: End) {
    guard end == nil else { return }
    end = reason
    timer.close()
    pacer.close()
    flusher.close()
    // What was written last, alerts and goodbyes, still leaves, and a member reads our goodbye before anything that could
    // look like a cut. Nobody else is waited for.
    if wasProved, !peerEnded, reason.isOurs {
      connection.closeAfterPeer()
    } else if connection.isConnected {
      connection.closeAfterWrites()
    } else {
      connection.close()
    }
  }

  private func closed(_ error: UVError?) {
    if end == nil {
      end = .transport(error)
      timer.close()
      pacer.close()
      flusher.close()
    }
    // Streams that are still open end here, whatever ended the connection. Of a peer that was never proved nothing is
    // told but the end.
    if !wasProved { _ = machine.handle(.transportEnded, at: Self.now()) }
    for effect in machine.handle(.transportEnded, at: Self.now()) { onEffect(effect) }
    let last = onEnd
    onEnd = { _ in }
    onEffect = { _ in }
    onEstablished = { _ in }
    onJoining = {}
    last(end!)
  }
}

extension FabricLink.End {
  /// The other side is still there and is to hear why.
  fileprivate var isOurs: Bool {
    switch self {
    case .fabric(.here), .fabric(.version), .refused: true
    case .fabric, .tls, .transport: false
    }
  }
}
