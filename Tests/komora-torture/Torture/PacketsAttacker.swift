// The other end of the attack: one socket for datagrams, and connections that go wrong in every way.

import Base
import Fabric
import Formats
import OpenSSL
import UVLoop

actor PacketsAttacker {
  nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  enum Stream: String, CaseIterable {
    /// Bytes that are no TLS.
    case garbage
    /// A true client hello with flipped bits.
    case mutatedHello
    /// Nothing, or half a hello, and then silence.
    case halfOpen
    /// A member that sends the head of a frame larger than any.
    case oversizedFrame
    /// A member that asks what it may not, in frames that are whole.
    case forbidden
    /// A member that sends frames with flipped bits.
    case mutatedFrames
  }

  /// Reasons for which a kind may end; any other one is a failure. Whoever goes by itself is `transport` or `truncated`.
  static func reasons(_ stream: Stream) -> Set<String> {
    switch stream {
    case .garbage:
      ["tls.plaintext", "tls.damaged", "tls.truncated", "transport.", "tls.refusedByPeer", "tls.downgraded"]
    case .mutatedHello:
      [
        "tls.plaintext", "tls.damaged", "tls.truncated", "tls.downgraded", "tls.foreignProtocol", "tls.refusedByPeer",
        "tls.noCertificate", "transport.",
      ]
    case .halfOpen: ["tls.handshakeTimeout", "transport."]
    case .oversizedFrame: ["fabric.malformed"]
    case .mutatedFrames:
      [
        "fabric.malformed", "fabric.disorder", "fabric.overrun", "fabric.version", "fabric.flood",
        "fabric.helloTimeout",
        "fabric.peer", "fabric.peerIdle", "fabric.peerRenews", "fabric.peerRefuses", "fabric.transport",
        "tls.truncated", "tls.orderly", "transport.",
      ]
    case .forbidden: ["tls.truncated", "tls.orderly", "transport.", "fabric.transport"]
    }
  }

  /// A busy machine may be too slow for the victim's short deadlines, whatever is attacked.
  static let slow: Set<String> = ["tls.handshakeTimeout", "fabric.helloTimeout"]

  /// Whether a question of this kind may reach the service.
  static func mayAsk(_ stream: Stream) -> Bool { stream == .mutatedFrames }

  private let address: SocketAddress
  private let context: TLSContext
  private var socket: UVDatagramSocket?
  private var random: SeededGenerator
  private var open = 0
  private var waiter: CheckedContinuation<Void, Never>?
  private(set) var failedToConnect = 0

  init(_ loop: UVLoop, at address: SocketAddress, _ credentials: TLSCredentials, seed: UInt64) throws {
    self.loop = loop
    self.address = address
    context = try TLSContext(credentials)
    random = SeededGenerator(seed: seed)
  }

  /// How many of them the system took.
  func send(_ datagrams: [[UInt8]]) throws -> Int {
    let socket = try socket ?? UVDatagramSocket(on: loop, bind: .loopback()) { _, _ in }
    self.socket = socket
    return datagrams.count { socket.send($0, to: address) == .sent }
  }

  func stop() { socket?.close() }

  /// Attacks over `count` connections, `atOnce` at a time, and returns when all of them have ended.
  func attack(_ stream: Stream, count: Int, atOnce: Int) async {
    for _ in 0..<count {
      begin(stream)
      if open >= atOnce { await oneEnded() }
    }
    while open > 0 { await oneEnded() }
  }

  private func oneEnded() async {
    await withCheckedContinuation { waiter in
      if open == 0 { waiter.resume() } else { self.waiter = waiter }
    }
  }

  private func begin(_ stream: Stream) {
    let session = TLSSession(context, .connecting, expecting: .init())
    var handlers = UVConnection.Handlers()
    var opening = session.start().flatMap(\.bytes)
    let insider = [.oversizedFrame, .mutatedFrames, .forbidden].contains(stream)
    switch stream {
    case .garbage:
      opening = (0..<(1 + random.below(300))).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    case .mutatedHello:
      for _ in 0...random.below(4) { opening[random.below(opening.count)] ^= 1 << UInt8(random.below(8)) }
    case .halfOpen: opening = Array(opening.prefix(random.below(opening.count)))
    case .oversizedFrame, .mutatedFrames, .forbidden: break
    }
    let hostile = insider ? frames(stream) : []
    var connection: UVConnection?
    handlers.connected = {
      connection?.startReading()
      connection?.write(opening)
      // Whoever is not ended by the other side goes by itself; what it sent was enough to be judged.
      if stream == .garbage || stream == .mutatedHello { connection?.shutdown() }
    }
    handlers.received = { bytes in
      guard insider else { return }
      for effect in session.feed(bytes) {
        switch effect {
        case .send(let bytes): connection?.write(bytes)
        case .established:
          for effect in session.write(hostile.span.bytes) { connection?.write(effect.bytes) }
          connection?.shutdown()
        case .closed: connection?.close()
        case .plain, .joining: break
        }
      }
    }
    handlers.ended = { connection?.close() }
    handlers.closed = { error in
      connection = nil
      if error?.code == .refused { self.failedToConnect += 1 }
      self.open -= 1
      self.waiter?.resume()
      self.waiter = nil
    }
    open += 1
    do {
      connection = try UVConnection(on: loop, to: address, handlers: handlers)
    } catch {
      open -= 1
      failedToConnect += 1
    }
  }

  private func frames(_ stream: Stream) -> [UInt8] {
    let hello = FabricFrame.hello(least: 1, greatest: 1, window: 1 << 18).encode()
    if stream == .forbidden {
      let opening = FabricOpening(method: PacketsService.forbidden, priority: .normal)
      return hello + FabricFrame.open(stream: 1, opening, data: [1], ends: true).encode()
    }
    guard stream == .mutatedFrames else {
      let length = UInt32(FabricFrame.payloadBytesMax + 1 + random.below(1 << 20))
      return hello + (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(8 * $0)) } + [3, 0, 0, 0, 1, 0, 0, 0]
    }
    let opening = FabricOpening(method: PacketsService.forbidden, priority: .bulk, deadlineMilliseconds: 9)
    let all: [FabricFrame] = [
      .open(stream: 1, opening, data: [1, 2], ends: true), .data(stream: 1, [1, 2, 3], ends: false),
      .credit(stream: 2, bytes: 70_000), .reset(stream: 1, reason: 4), .ping(1), .pong(0),
    ]
    var bytes = hello
    for _ in 0..<8 { bytes += all[random.below(all.count)].encode() }
    for _ in 0...random.below(6) { bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8)) }
    return bytes
  }
}

extension TLSEffect {
  fileprivate var bytes: [UInt8] { if case .send(let bytes) = self { bytes } else { [] } }
}
