// Lines between shards over the real loopback: order, turns, large messages, a peer that goes and comes back, bytes that
// cannot be read.

import Base
import Fabric
import Formats
import Node
import OpenSSL
import Testing
import Threads
import UVLoop

@Suite("lines between shards", .timeLimit(.minutes(3)))
struct ShardLinksTests {
  /// Both ends of the lines of one node, and what it heard.
  final class End: FabricService {
    struct Heard {
      var beats: [[UInt8]] = []
      var messages: [[UInt8]] = []
      var isUp = false
      /// How often the line ended: a line that comes back soon may not be seen down.
      var ends = 0
    }

    let links = Lock<ShardLinks<[UInt8]>?>(nil)
    let heard = Lock(Heard())

    func permits(_ method: UInt16, to peer: X509Identity) -> Bool { true }
    func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? { nil }
    func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) {}
    func shape(of method: UInt16) -> FabricShape { .channel }
    func serve(_ channel: FabricChannel, _ method: UInt16, from peer: X509Identity) async {
      await links.with { $0 }?.serve(channel)
    }

    func note(_ change: (inout Heard) -> Void) { heard.with { change(&$0) } }

    func wait<R>(_ ready: (Heard) -> Bool, _ body: (Heard) -> R) async throws -> R {
      try await until("heard") { heard.with { ready($0) } }
      return heard.with { body($0) }
    }
  }

  /// A message is read when it does not begin with 0xff.
  static func start(_ credentials: TLSCredentials, _ loop: UVLoop, _ peers: Lock<[NodeID: SocketAddress]>) async throws
    -> (End, FabricEndpoint, ShardLinks<[UInt8]>, SocketAddress)
  {
    let keys = DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: 1, count: 32)))
    var configuration = FabricConfiguration(address: .loopback(), credentials: credentials, datagramKeys: keys)
    configuration.reconnectMin = .milliseconds(2)
    configuration.reconnectMax = .milliseconds(20)
    let end = End()
    let endpoint = try FabricEndpoint(configuration, on: loop, service: end)
    let links = ShardLinks<[UInt8]>(
      endpoint: endpoint, on: loop, addressOf: { id in peers.with { $0[id] } },
      .init(
        read: { $0.first == 0xff ? nil : $0 }, beat: { beat, _ in end.note { $0.beats.append(beat) } },
        message: { message, _ in end.note { $0.messages.append(message) } },
        line: { _, isUp in
          end.note {
            $0.isUp = isUp
            if !isUp { $0.ends += 1 }
          }
        }))
    end.links.with { $0 = links }
    let address = try await endpoint.start()
    try await links.start()
    return (end, endpoint, links, address)
  }

  static let (a, b) = (NodeID(bits: 1), NodeID(bits: 2))

  static func letter(_ account: UInt64, _ number: Int, bytes count: Int = 12) -> ShardLetter {
    var bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: max(count, 12))
    bytes[0] = 1
    bytes[1] = UInt8(account)
    for i in 0..<4 { bytes[2 + i] = UInt8(truncatingIfNeeded: number >> (8 * i)) }
    return ShardLetter(account: AccountID(bits: UInt128(account)), bytes: bytes)
  }

  static func number(_ bytes: [UInt8]) -> Int { (0..<4).reduce(0) { $0 | Int(bytes[2 + $1]) << (8 * $1) } }

  @Test("letters of an account arrive in order, accounts take turns, large ones and beats arrive too")
  func order() async throws {
    let infrastructure = try Infrastructure()
    let (left, right) = (UVLoop(), UVLoop())
    let peers = Lock<[NodeID: SocketAddress]>([:])
    let (_, _, sender, _) = try await Self.start(infrastructure.credentials(1), left, peers)
    let (end, _, receiver, address) = try await Self.start(infrastructure.credentials(2), right, peers)
    peers.with { $0[Self.b] = address }
    let count = 400
    // Account 1 has much to catch up with; the others say a little each.
    for i in 0..<count { await sender.send(Self.letter(1, i, bytes: i % 10 == 0 ? 700_000 : 20_000), to: Self.b) }
    for account in 2...5 as ClosedRange<UInt64> {
      for i in 0..<20 { await sender.send(Self.letter(account, i), to: Self.b) }
    }
    await sender.sendBeat([7, 7], to: Self.b)
    await sender.flush()
    let messages = try await end.wait({ $0.messages.count == count + 80 && $0.beats.count == 1 }) { $0.messages }
    var seen: [UInt8: [Int]] = [:]
    for message in messages { seen[message[1], default: []].append(Self.number(message)) }
    #expect(seen[1] == Array(0..<count))
    for account in 2...5 as ClosedRange<UInt8> { #expect(seen[account] == Array(0..<20)) }
    for message in messages where message.count > 12 {
      #expect(message[12...].allSatisfy { $0 == UInt8(truncatingIfNeeded: Self.number(message)) })
    }
    #expect(await sender.dropped == 0)
    await Self.stop([sender, receiver], [left, right])
  }

  static func stop(_ links: [ShardLinks<[UInt8]>], _ loops: [UVLoop]) async {
    for one in links {
      await one.stop()
      one.stopVerifier()
    }
    for loop in loops {
      loop.stop()
      #expect(loop.metrics.openHandles == 0)
    }
  }

  @Test("a line that ended is opened again when the peer is back, and says so both times")
  func comesBack() async throws {
    let infrastructure = try Infrastructure()
    let (left, right, next) = (UVLoop(), UVLoop(), UVLoop())
    let peers = Lock<[NodeID: SocketAddress]>([:])
    let (one, _, sender, _) = try await Self.start(infrastructure.credentials(1), left, peers)
    let (first, endpoint, receiver, address) = try await Self.start(infrastructure.credentials(2), right, peers)
    peers.with { $0[Self.b] = address }
    await sender.want(Self.b)
    try await one.wait({ $0.isUp }) { _ in }
    await sender.send(Self.letter(1, 0), to: Self.b)
    await sender.flush()
    try await first.wait({ $0.messages.count == 1 }) { _ in }
    await endpoint.close()
    try await one.wait({ !$0.isUp }) { _ in }
    // Nobody is there: what is sent meanwhile is lost.
    await sender.send(Self.letter(1, 1), to: Self.b)
    await sender.flush()
    let (second, _, other, there) = try await Self.start(infrastructure.credentials(2), next, peers)
    peers.with { $0[Self.b] = there }
    try await one.wait({ $0.isUp }) { _ in }
    await sender.send(Self.letter(1, 2), to: Self.b)
    await sender.flush()
    try await second.wait({ $0.messages.contains { Self.number($0) == 2 } }) { _ in }
    await Self.stop([sender, receiver, other], [left, right, next])
  }

  @Test("what cannot be read ends its line, and the next one carries on")
  func unreadable() async throws {
    let infrastructure = try Infrastructure()
    let (left, right) = (UVLoop(), UVLoop())
    let peers = Lock<[NodeID: SocketAddress]>([:])
    let (one, _, sender, _) = try await Self.start(infrastructure.credentials(1), left, peers)
    let (end, _, receiver, address) = try await Self.start(infrastructure.credentials(2), right, peers)
    peers.with { $0[Self.b] = address }
    await sender.want(Self.b)
    try await one.wait({ $0.isUp }) { _ in }
    await sender.send(ShardLetter(account: AccountID(bits: 1), bytes: [0xff, 1]), to: Self.b)
    await sender.flush()
    try await one.wait({ $0.ends == 1 && $0.isUp }) { _ in }
    #expect(await receiver.unreadable == 1)
    await sender.send(Self.letter(1, 5), to: Self.b)
    await sender.flush()
    try await end.wait({ $0.messages.count == 1 }) { _ in }
    await Self.stop([sender, receiver], [left, right])
  }

  @Test("accounts take turns: who has much to say does not hold up the others, and what is too much is not kept")
  func turns() {
    var outbox = ShardOutbox(bytesMax: 1_000_000)
    var taken: [Bool] = []
    for i in 0..<40 { taken.append(outbox.push(Self.letter(1, i, bytes: 20_000))) }
    for account in 2...5 as ClosedRange<UInt64> {
      for i in 0..<3 { taken.append(outbox.push(Self.letter(account, i))) }
    }
    #expect(taken.allSatisfy { $0 })
    let isTooMuchTaken = outbox.push(Self.letter(1, 40, bytes: 200_000))
    #expect(!isTooMuchTaken)
    var frames = MessageFrames(bytesMax: 1 << 20)
    var seen: [(account: UInt8, number: Int)] = []
    while let batch = outbox.batch(1) {
      frames.feed(batch)
      while let message = try? frames.next() { seen.append((message[1], Self.number(message))) }
    }
    #expect(seen.count == 52 && outbox.isEmpty && outbox.bytes == 0)
    #expect(seen.prefix(15).map(\.account) == [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5])
    for account in 1...5 as ClosedRange<UInt8> {
      let numbers = seen.filter { $0.account == account }.map(\.number)
      #expect(numbers == Array(0..<numbers.count), "in order")
    }
  }

  @Test("any bytes in any pieces are messages, or too long, and never a trap")
  func frames() throws {
    var random = SeededGenerator(seed: 4)
    for _ in 0..<2000 {
      var batch: [UInt8] = []
      let sent = (0..<Int.random(in: 0...5, using: &random)).map { _ in
        (0..<Int.random(in: 0...300, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      }
      for message in sent { MessageFrames.append(message, to: &batch) }
      let isDamaged = !batch.isEmpty && Bool.random(using: &random)
      if isDamaged {
        batch[Int.random(in: 0..<batch.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
      }
      var frames = MessageFrames(bytesMax: 4096)
      var got: [[UInt8]] = []
      var rest = batch[...]
      do {
        while !rest.isEmpty {
          let count = Int.random(in: 1...rest.count, using: &random)
          frames.feed(Array(rest.prefix(count)))
          rest = rest.dropFirst(count)
          while let message = try frames.next() { got.append(message) }
        }
        if !isDamaged { #expect(got == sent) }
      } catch {
        #expect(isDamaged)
      }
    }
  }
}
