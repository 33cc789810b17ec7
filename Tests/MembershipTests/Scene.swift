// One member under test among peers that the test plays.

import Base
import Formats
import Membership

struct Scene {
  var machine: SwimMachine
  var now = Instant(nanoseconds: 1_000_000_000_000)
  var effects: [SwimEffect] = []
  let peers: [NodeID]

  static func id(_ n: Int) -> NodeID { NodeID(bits: UInt128(n)) }
  static func address(_ n: Int) -> GossipAddress { GossipAddress(host: [10, 0, 0, UInt8(n)], port: 7402)! }
  static func profile(_ n: Int) -> GossipProfile {
    GossipProfile(address: address(n), name: "node-\(n)", region: "eu", zone: "a")
  }
  static func alive(_ n: Int, _ incarnation: Incarnation = 1) -> GossipUpdate {
    .alive(node: id(n), incarnation: incarnation, profile: profile(n), health: GossipHealth())
  }
  static func entry(_ n: Int, _ standing: Member.Standing, _ incarnation: Incarnation = 1) -> GossipState.Entry {
    GossipState.Entry(
      standing: standing, node: id(n), incarnation: incarnation, ageSeconds: 3, profile: profile(n),
      health: GossipHealth())
  }

  /// Member 1, active under incarnation 1, which knows `peers` others, 2 and up.
  init(peers count: Int, _ configuration: SwimConfiguration = .lan) {
    machine = SwimMachine(node: Self.id(1), profile: Self.profile(1), configuration: configuration, seed: 7)
    peers = (0..<count).map { Self.id($0 + 2) }
    step(.start(stored: 0, seeds: []))
    step(.persisted(configuration.incarnationReserve))
    let alive = (0..<count).map { Self.entry($0 + 2, .alive) }
    if count > 0 { step(.state(GossipState(entries: alive), from: Self.id(2))) }
  }

  mutating func step(_ event: SwimEvent) { effects = machine.handle(event, at: now) }

  mutating func hear(_ message: GossipMessage = .gossip, _ updates: [GossipUpdate] = [], from peer: Int) {
    step(
      .datagram(
        GossipDatagram(incarnation: 1, message: message, updates: updates), from: Self.id(peer),
        at: Self.address(peer)))
  }

  /// Ticks every 10 ms for so long, with every probe answered unless `isSilent`; returns all effects.
  @discardableResult
  mutating func run(_ interval: Interval, isSilent: (NodeID) -> Bool = { _ in false }) -> [SwimEffect] {
    var all: [SwimEffect] = []
    for _ in 0..<(interval.milliseconds / 10) {
      now = now + .milliseconds(10)
      step(.tick)
      var waiting = effects
      while !waiting.isEmpty {
        all += waiting
        var next: [SwimEffect] = []
        for case .send(let datagram, let peer, let address) in waiting {
          guard case .ping(let sequence, _) = datagram.message, !isSilent(peer) else { continue }
          let ack = GossipDatagram(incarnation: 1, message: .ack(sequence: sequence))
          next += machine.handle(.datagram(ack, from: peer, at: address), at: now)
        }
        waiting = next
      }
    }
    return all
  }

  func standing(_ n: Int) -> Member.Standing? { machine.member(Self.id(n))?.standing }
}

extension [SwimEffect] {
  var datagrams: [(datagram: GossipDatagram, to: NodeID)] {
    compactMap { if case .send(let datagram, let node, _) = $0 { (datagram, node) } else { nil } }
  }
  var updates: [GossipUpdate] { datagrams.flatMap(\.datagram.updates) }
  var news: [MembershipNews] { compactMap { if case .notify(let news) = $0 { news } else { nil } } }
  var persisted: [Incarnation] { compactMap { if case .persist(let incarnation) = $0 { incarnation } else { nil } } }
  var pings: [NodeID] {
    datagrams.compactMap { if case .ping = $0.datagram.message { $0.to } else { nil } }
  }
}
