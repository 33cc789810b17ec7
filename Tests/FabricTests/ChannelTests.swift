// Channels and bulk transfers over the real loopback: order, back-pressure, resuming, rates, and beats beside them.

import Base
import Fabric
import Formats
import OpenSSL
import Synchronization
import Testing
import UVLoop

/// Method 1 echoes a question, 10 echoes a channel, 11 opens one and never reads, 12 is bulk of `seed + n` for name n.
struct ChannelService: FabricService {
  let source: PatternSource

  func permits(_ method: UInt16, to peer: X509Identity) -> Bool { method != 99 }
  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? { question }
  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) {}

  func shape(of method: UInt16) -> FabricShape {
    switch method {
    case 10, 11: .channel
    case 12: .bulk
    case 13: .channel
    default: .question
    }
  }

  /// Method 13 is as 11 with a window of its own.
  func window(of method: UInt16) -> Int? { method == 13 ? 1 << 20 : nil }

  func serve(_ channel: FabricChannel, _ method: UInt16, from peer: X509Identity) async {
    if method == 11 || method == 13 {
      let forever = AsyncStream<Void> { _ in }
      for await _ in forever {}
      return
    }
    do {
      while let bytes = try await channel.receive() { try await channel.send(bytes) }
      await channel.finish()
    } catch {}
  }

  func source(_ method: UInt16, _ name: [UInt8], from peer: X509Identity) async -> (any FabricSource)? {
    name == Array("pattern".utf8) ? source : nil
  }
}

enum FabricChannelPiece { static let bytes = 64 << 10 }

/// Bytes that say where they lie.
struct PatternSource: FabricSource {
  var size: UInt64
  var validator: [UInt8]

  static func byte(_ place: UInt64) -> UInt8 { UInt8(truncatingIfNeeded: place &* 31 ^ place >> 8 ^ place >> 16) }

  static func bytes(_ range: Range<UInt64>) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(range.count)
    var place = range.lowerBound
    while place < range.upperBound {
      bytes.append(byte(place))
      place += 1
    }
    return bytes
  }

  func read(at offset: UInt64, count: Int) async throws -> [UInt8] {
    Self.bytes(offset..<(offset + UInt64(count)))
  }
}

@Suite(.timeLimit(.minutes(2)))
struct ChannelTests {
  static let b = NodeID(bits: 2)
  static let name = Array("pattern".utf8)

  static func endpoint(
    _ loop: UVLoop, _ credentials: TLSCredentials, size: UInt64 = 4 << 20, validator: [UInt8] = [1],
    change: (inout FabricConfiguration) -> Void = { _ in }
  ) async throws -> (FabricEndpoint, SocketAddress) {
    let keys = DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: 1, count: 32)))
    var configuration = FabricConfiguration(address: .loopback(), credentials: credentials, datagramKeys: keys)
    configuration.reconnectMin = .milliseconds(2)
    configuration.reconnectMax = .milliseconds(20)
    change(&configuration)
    let service = ChannelService(source: PatternSource(size: size, validator: validator))
    let endpoint = try FabricEndpoint(configuration, on: loop, service: service)
    return (endpoint, try await endpoint.start())
  }

  @Test("a channel carries bytes both ways in order, ends by halves, and leaves nothing behind")
  func echo() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2))
    let channel = try await a.open(Self.b, at: address, method: 10)
    let bytes = SystemRandom.bytes(3 << 20)
    let sending = Task {
      for start in stride(from: 0, to: bytes.count, by: 100_000) {
        try await channel.send(Array(bytes[start..<min(start + 100_000, bytes.count)]))
      }
      await channel.finish()
    }
    var back: [UInt8] = []
    while let piece = try await channel.receive() { back += piece }
    try await sending.value
    #expect(back == bytes)
    #expect(try await channel.receive() == nil)
    await #expect(throws: FabricError.self) { try await channel.send([1]) }
    #expect(await a.counters.links == 1)
    #expect(await b.counters.links == 1)
    loop.stop()
    #expect(loop.metrics.openHandles == 0)
  }

  @Test("who does not fetch holds the sender up at a window and a buffer; cancelling frees it; a peer's sum is bounded")
  func backPressure() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2)) {
      $0.peerBytesMax = 3 * Int($0.limits.window)
    }
    let channel = try await a.open(Self.b, at: address, method: 11)
    let limits = FabricLimits()
    let most = Int(limits.window) + limits.sendBufferBytesMax
    let (counts, counting) = AsyncStream.makeStream(of: Int.self)
    let sending = Task {
      var sent = 0
      while sent < 16 << 20 {
        try await channel.send([UInt8](repeating: 1, count: FabricChannelPiece.bytes))
        sent += FabricChannelPiece.bytes
        counting.yield(sent)
      }
    }
    // A sender that waits hears of room when half of the buffer is free, so one piece may be missing.
    for await sent in counts where sent >= most - FabricChannelPiece.bytes { break }
    // Questions pass while the channel stands still.
    #expect(try await a.ask(Self.b, at: address, method: 1, [1], deadline: .seconds(50)) == [1])
    // Two further windows are the peer's share, a fourth one is refused.
    let others = [
      try await a.open(Self.b, at: address, method: 11), try await a.open(Self.b, at: address, method: 11),
    ]
    let fourth = try await a.open(Self.b, at: address, method: 11)
    await #expect(throws: FabricError(.refused, "the peer does not take this channel")) { try await fourth.receive() }
    #expect(await b.counters.refused == ["peerBytes": 1])
    await channel.cancel()
    await #expect(throws: FabricError(.cancelled, "cancelled")) { try await sending.value }
    counting.finish()
    for await sent in counts { #expect(sent <= most) }
    for other in others { await other.cancel() }
    // What was given up is free again.
    while true {
      let again = try await a.open(Self.b, at: address, method: 10)
      if (try? await again.send([5])) != nil, let echo = try? await again.receive() {
        #expect(echo == [5])
        break
      }
    }
    let forbidden = try await a.open(Self.b, at: address, method: 99)
    await #expect(throws: FabricError(.refused, "the peer does not take this channel")) {
      try await forbidden.receive()
    }
    loop.stop()
  }

  @Test("a channel has the window that its service says, counted against what its peer may hold")
  func windows() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2)) { $0.peerBytesMax = 3 << 19 }
    let channel = try await a.open(Self.b, at: address, method: 13, priority: .normal)
    let (counts, counting) = AsyncStream.makeStream(of: Int.self)
    let sending = Task {
      var sent = 0
      while true {
        try await channel.send([UInt8](repeating: 1, count: FabricChannelPiece.bytes))
        sent += FabricChannelPiece.bytes
        counting.yield(sent)
      }
    }
    let most = (1 << 20) + FabricLimits().sendBufferBytesMax
    for await sent in counts where sent >= most - FabricChannelPiece.bytes { break }
    let second = try await a.open(Self.b, at: address, method: 13)
    await #expect(throws: FabricError(.refused, "the peer does not take this channel")) { try await second.receive() }
    #expect(await b.counters.refused == ["peerBytes": 1])
    await channel.cancel()
    await #expect(throws: FabricError(.cancelled, "cancelled")) { try await sending.value }
    counting.finish()
    for await sent in counts { #expect(sent <= most) }
    loop.stop()
  }

  @Test("a bulk transfer over links that break again and again has every byte once")
  func resumes() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let size: UInt64 = 1_500_001
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let breaker = try await Breaker(UVLoop())
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2), size: size)
    let relayed = await breaker.relay(to: address)
    var download = a.download(Self.b, at: relayed, method: 12, name: Self.name, from: 17)
    var (place, cuts): (UInt64, Int) = (17, 0)
    while let chunk = try await download.next() {
      #expect(chunk == PatternSource.bytes(place..<(place + UInt64(chunk.count))), "at \(place)")
      place += UInt64(chunk.count)
      if place > UInt64(cuts + 1) * 200_000 {
        cuts += 1
        await breaker.cut()
      }
    }
    #expect(place == size && download.offset == size && download.size == size && download.validator == [1])
    #expect(cuts >= 5 && download.resumptions >= 3)
    #expect(try await download.next() == nil)
    _ = b
    breaker.loop.stop()
    loop.stop()
  }

  /// Says when nobody holds it any more, and how far it was read by then.
  final class WatchedSource: FabricSource {
    let size: UInt64 = 1 << 40
    let validator: [UInt8] = [3]
    private let read = Atomic<UInt64>(0)
    private let gone: AsyncStream<UInt64>.Continuation

    init(_ gone: AsyncStream<UInt64>.Continuation) { self.gone = gone }
    deinit { gone.yield(read.load(ordering: .relaxed)) }

    func read(at offset: UInt64, count: Int) async throws -> [UInt8] {
      read.max(offset + UInt64(count), ordering: .relaxed)
      return [UInt8](repeating: 7, count: count)
    }
  }

  struct WatchedService: FabricService {
    let gone: AsyncStream<UInt64>.Continuation
    func permits(_ method: UInt16, to peer: X509Identity) -> Bool { true }
    func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? { question }
    func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) {}
    func shape(of method: UInt16) -> FabricShape { .bulk }
    func source(_ method: UInt16, _ name: [UInt8], from peer: X509Identity) async -> (any FabricSource)? {
      WatchedSource(gone)
    }
  }

  @Test("a download that is dropped half-way ends at the side that serves it")
  func dropped() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (stream, continuation) = AsyncStream.makeStream(of: UInt64.self)
    let keys = DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: 1, count: 32)))
    let configuration = FabricConfiguration(
      address: .loopback(), credentials: try infrastructure.credentials(2), datagramKeys: keys)
    let b = try FabricEndpoint(configuration, on: loop, service: WatchedService(gone: continuation))
    let address = try await b.start()
    do {
      var download = a.download(Self.b, at: address, method: 12, name: Self.name)
      while download.offset < 1 << 20 { _ = try await download.next() }
    }
    var gone = stream.makeAsyncIterator()
    let read = try #require(await gone.next())
    #expect(read >= 1 << 20 && read < 1 << 40)
    // One whose head does not fit what was asked for ends too.
    var other = a.download(Self.b, at: address, method: 12, name: Self.name, validator: [9])
    await #expect(throws: FabricError.self) { try await other.next() }
    #expect(await gone.next() == 0)
    loop.stop()
  }

  @Test("what is absent, has changed, or is shorter than the offset is said so")
  func refused() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2), size: 1000, validator: [7, 7])
    func code(_ name: [UInt8], _ offset: UInt64, _ validator: [UInt8]) async -> FabricError.Code? {
      var download = a.download(Self.b, at: address, method: 12, name: name, from: offset, validator: validator)
      do throws(FabricError) {
        while try await download.next() != nil {}
        return nil
      } catch { return error.code }
    }
    #expect(await code([], 0, []) == .absent)
    #expect(await code(Self.name, 0, [7]) == .changed)
    #expect(await code(Self.name, 10, [7, 7]) == nil)
    #expect(await code(Self.name, 1000, [7, 7]) == nil)
    #expect(await code(Self.name, 1001, []) == .changed)
    #expect(await code([UInt8](repeating: 0, count: 40_000), 0, []) == .tooLarge)
    _ = b
    loop.stop()
  }

  @Test("a rate holds bulk back and may be changed under way, and questions pass beside it")
  func rate() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let (a, _) = try await Self.endpoint(loop, infrastructure.credentials(1))
    let (b, address) = try await Self.endpoint(loop, infrastructure.credentials(2), size: 64 << 20) {
      $0.bulkBytesPerSecond = 1 << 20
    }
    let clock = ContinuousClock()
    let start = clock.now
    var download = a.download(Self.b, at: address, method: 12, name: Self.name)
    while download.offset < 512 << 10 { _ = try await download.next() }
    // Half a second's worth, less the burst and one piece.
    #expect(clock.now - start > .milliseconds(300))
    #expect(try await a.ask(Self.b, at: address, method: 1, [1], priority: .urgent, deadline: .seconds(50)) == [1])
    await b.limitBulk(bytesPerSecond: nil)
    while download.offset < 1 << 20 { _ = try await download.next() }
    loop.stop()
  }
}

/// A relay of bytes between a caller and an endpoint whose connections can be cut.
actor Breaker {
  nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
  private var listener: UVListener?
  private var pairs: [(UVConnection, UVConnection)] = []

  init(_ loop: UVLoop) async throws { self.loop = loop }

  func relay(to target: SocketAddress) -> SocketAddress {
    listener = try! UVListener(on: loop, bind: .loopback()) { near in
      guard let far = try? UVConnection(on: self.loop, to: target, handlers: .init()) else { return near.close() }
      self.pairs.append((near, far))
      near.queuedBytesMax = 64 << 20
      far.queuedBytesMax = 64 << 20
      near.handlers.received = { bytes in far.write(bytes.withUnsafeBytes { [UInt8]($0) }) }
      far.handlers.received = { bytes in near.write(bytes.withUnsafeBytes { [UInt8]($0) }) }
      near.handlers.closed = { _ in far.close() }
      far.handlers.closed = { _ in near.close() }
      near.handlers.ended = { near.close() }
      far.handlers.ended = { far.close() }
      far.handlers.connected = {
        far.startReading()
        near.startReading()
      }
    }
    return listener!.address!
  }

  func cut() {
    for pair in pairs { pair.0.close() }
    pairs = []
  }
}
