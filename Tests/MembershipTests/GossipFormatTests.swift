// The bytes of gossip: round trips, refusals with their reason, and whatever a stranger may send.

import Base
import Formats
import Testing

@Suite struct GossipFormatTests {
  static let health = GossipHealth(
    version: 9, loadPermille: 500, diskFillPermille: 930, loopLagMilliseconds: 3, syncMilliseconds: 12,
    applyLagMilliseconds: 700, score: 2, flags: [.draining, .degraded])
  static let datagrams = [
    GossipDatagram(incarnation: 3, message: .gossip),
    GossipDatagram(incarnation: 1 << 62, message: .ack(sequence: .max)),
    GossipDatagram(
      incarnation: 1, message: .ping(sequence: 7, target: Scene.id(2)),
      updates: [
        Scene.alive(3), .suspect(node: Scene.id(4), incarnation: 2, by: Scene.id(5)),
        .dead(node: Scene.id(6), incarnation: 0, by: Scene.id(7)), .left(node: Scene.id(8), incarnation: 1),
        .health(node: Scene.id(9), incarnation: 4, health),
      ]),
    GossipDatagram(incarnation: 1, message: .pingRequest(sequence: 8, target: Scene.id(2)), updates: [Scene.alive(1)]),
    GossipDatagram(incarnation: 1, message: .nack(sequence: 9)),
  ]
  static let state = GossipState(entries: [
    Scene.entry(1, .alive), Scene.entry(2, .suspect, 4), Scene.entry(3, .dead, 9), Scene.entry(4, .left, 2),
  ])

  @Test("what was encoded comes back")
  func roundTrips() throws {
    for datagram in Self.datagrams { #expect(try GossipDatagram(datagram.encode()) == datagram) }
    #expect(try GossipState(Self.state.encode()) == Self.state)
  }

  @Test("the size of an update is what it says")
  func sizes() {
    let empty = GossipDatagram(incarnation: 1, message: .gossip).encode().count
    for update in Self.datagrams.flatMap(\.updates) {
      let bytes = GossipDatagram(incarnation: 1, message: .gossip, updates: [update]).encode()
      #expect(bytes.count == empty + update.byteCount)
    }
    #expect(GossipDatagram.room(beside: .gossip) == 1178 - empty)
  }

  @Test("every cut of a datagram or a state is refused")
  func cuts() {
    for bytes in Self.datagrams.map({ $0.encode() }) {
      for count in bytes.indices { #expect(throws: FormatError.self) { try GossipDatagram(Array(bytes[..<count])) } }
      #expect(throws: FormatError.self) { try GossipDatagram(bytes + [0]) }
    }
    let bytes = Self.state.encode()
    for count in bytes.indices { #expect(throws: FormatError.self) { try GossipState(Array(bytes[..<count])) } }
  }

  @Test("limits are checked before anything is allocated")
  func limits() {
    func code(_ body: () throws -> Void) -> FormatError.Code? {
      do { try body() } catch { return (error as? FormatError)?.code }
      return nil
    }
    #expect(code { _ = try GossipDatagram([UInt8](repeating: 0, count: 65_507)) } == .limit)
    var bytes = Self.datagrams[0].encode()
    bytes[2] = 48
    #expect(code { _ = try GossipDatagram(bytes) } == .limit)
    bytes = Self.datagrams[0].encode()
    bytes[0] = 2
    #expect(code { _ = try GossipDatagram(bytes) } == .version)
    bytes = Self.datagrams[0].encode()
    bytes[11] = 0x80
    #expect(code { _ = try GossipDatagram(bytes) } == .limit)
    var state = Self.state.encode()
    (state[4], state[5], state[6], state[7]) = (0xFF, 0xFF, 0xFF, 0xFF)
    #expect(code { _ = try GossipState(state) } == .limit)
    (state[4], state[5], state[6], state[7]) = (0, 0x10, 0, 0)
    #expect(code { _ = try GossipState(state) } == .truncated)
    #expect(code { _ = try GossipState([UInt8](repeating: 1, count: (2 << 20) + 1)) } == .limit)
  }

  @Test("the largest of everything fits into its limit")
  func largest() throws {
    let text = String(repeating: "x", count: GossipLimits.textBytesMax)
    let address = try #require(GossipAddress(host: [UInt8](repeating: 254, count: 16), port: 1))
    let profile = GossipProfile(address: address, name: text, region: text, zone: text)
    let alive = GossipUpdate.alive(node: Scene.id(1), incarnation: 1, profile: profile, health: Self.health)
    let accused = GossipUpdate.dead(node: Scene.id(1), incarnation: 1, by: Scene.id(2))
    let ping = GossipMessage.ping(sequence: 1, target: Scene.id(1))
    #expect(alive.byteCount + accused.byteCount <= GossipDatagram.room(beside: ping))
    let small = GossipUpdate.left(node: Scene.id(1), incarnation: 1)
    #expect(GossipLimits.updatesMax >= GossipDatagram.room(beside: .gossip) / small.byteCount)
    let entry = GossipState.Entry(
      standing: .alive, node: Scene.id(1), incarnation: 1, ageSeconds: 0, profile: profile, health: Self.health)
    let full = GossipState(entries: [GossipState.Entry](repeating: entry, count: GossipLimits.membersMax))
    #expect(try GossipState(full.encode()) == full)
  }

  /// 100,000 in a release build; a tenth of it where checks make the decoder slow.
  private static var mutations: Int {
    #if DEBUG
      10_000
    #else
      100_000
    #endif
  }

  @Test("mutated bytes never trap, and what is taken is what would be sent")
  func mutations() {
    var random = SeededGenerator(seed: 11)
    let originals = Self.datagrams.map { $0.encode() }
    let state = Self.state.encode()
    var taken = 0
    for _ in 0..<Self.mutations {
      var bytes = originals[random.below(originals.count)]
      mutate(&bytes, &random)
      if let datagram = try? GossipDatagram(bytes) {
        taken += 1
        #expect(datagram.encode() == bytes)
      }
      bytes = state
      mutate(&bytes, &random)
      if let state = try? GossipState(bytes) { #expect(state.encode() == bytes) }
    }
    #expect(taken > 0)
  }

  private func mutate(_ bytes: inout [UInt8], _ random: inout SeededGenerator) {
    for _ in 0...random.below(4) {
      switch random.below(6) {
      case 0: bytes.insert(UInt8(random.below(256)), at: random.below(bytes.count + 1))
      case 1 where !bytes.isEmpty: bytes.removeSubrange(random.below(bytes.count)...)
      case 2 where !bytes.isEmpty: bytes.remove(at: random.below(bytes.count))
      default: if !bytes.isEmpty { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
      }
    }
  }
}
