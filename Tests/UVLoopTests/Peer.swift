// An actor pinned to a loop that owns one test's handles, and a way to wait for what they report without sleeping.

import Base
import UVLoop

actor Peer {
  nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  private struct Waiter {
    var condition: (isolated Peer) -> Bool
    var continuation: CheckedContinuation<Void, Never>
  }
  private var waiters: [Waiter] = []

  var connections: [UVConnection] = []
  var listener: UVListener?
  var socket: UVDatagramSocket?
  var timers: [UVTimer] = []
  /// What the handles reported, one line each.
  var events: [String] = []
  var received: [UInt8] = []
  var datagrams: [[UInt8]] = []
  var senders: [SocketAddress] = []
  var receivedCount = 0
  var lateness: [Duration] = []

  init(_ loop: UVLoop) { self.loop = loop }

  @discardableResult
  func with<T: Sendable>(_ body: @Sendable (isolated Peer) throws -> T) rethrows -> T { try body(self) }

  func until(_ condition: @escaping @Sendable (isolated Peer) -> Bool) async {
    if condition(self) { return }
    await withCheckedContinuation { waiters.append(Waiter(condition: condition, continuation: $0)) }
  }

  func note(_ event: String? = nil) {
    if let event { events.append(event) }
    let ready = waiters.filter { $0.condition(self) }
    waiters.removeAll { $0.condition(self) }
    for waiter in ready { waiter.continuation.resume() }
  }

  func bind(_ address: SocketAddress) throws -> SocketAddress {
    socket = try UVDatagramSocket(on: loop, bind: address) { bytes, sender in
      self.datagrams.append(bytes.withUnsafeBytes { [UInt8]($0) })
      self.senders.append(sender)
      self.note()
    }
    return socket!.address!
  }

  /// Keeps what arrives when `keeping`, else only counts it.
  func handlers(keeping: Bool = true) -> UVConnection.Handlers {
    var handlers = UVConnection.Handlers()
    handlers.connected = { self.note("connected") }
    handlers.received = { bytes in
      if keeping { bytes.withUnsafeBytes { self.received.append(contentsOf: $0) } }
      self.receivedCount += bytes.byteCount
      self.note()
    }
    handlers.ended = { self.note("ended") }
    handlers.closed = { error in self.note("closed \(error.map { "\($0.code)" } ?? "here")") }
    return handlers
  }

  func listen(_ address: SocketAddress = .loopback(), reading: Bool = true, keeping: Bool = true) throws
    -> SocketAddress
  {
    listener = try UVListener(on: loop, bind: address) { connection in
      connection.handlers = self.handlers(keeping: keeping)
      self.connections.append(connection)
      if reading { connection.startReading() }
      self.note("accepted")
    }
    return listener!.address!
  }

  func connect(_ address: SocketAddress, keeping: Bool = true) async throws {
    connections.append(try UVConnection(on: loop, to: address, handlers: handlers(keeping: keeping)))
    await until { $0.events.contains("connected") || $0.events.contains { $0.hasPrefix("closed") } }
    connections.last!.startReading()
  }

  /// Drops every handle, so that nothing but the loop holds them.
  func forget() {
    connections = []
    listener = nil
    socket = nil
    timers = []
  }
}
