// Streams over one connection: questions and answers, credit, priorities, deadlines, and every misdeed by its name.

import Base
import Fabric
import Formats
import Testing

struct FabricMachineTests {
  static let normal = FabricOpening(method: 7, priority: .normal)
  static let bulk = FabricOpening(method: 8, priority: .bulk)
  static let urgent = FabricOpening(method: 9, priority: .urgent)

  @Test("a question and its answer cross, and nothing of the stream is left")
  func question() {
    var pair = MachinePair.ready()
    pair.client(.open(Self.normal, Array("ask".utf8), ends: true))
    pair.settle()
    #expect(pair.serverSaw == [.accepted(1, Self.normal), .data(1, Array("ask".utf8), ends: true)])
    pair.server(.send(1, Array("answer".utf8), ends: true))
    pair.settle()
    #expect(pair.clientSaw == [.data(1, Array("answer".utf8), ends: true)])
    #expect(pair.client.streamCount == 0 && pair.server.streamCount == 0)
    // The other side opens streams too, with numbers of its own.
    pair.server(.open(Self.normal, [], ends: true))
    pair.settle()
    #expect(pair.clientSaw.last == .data(2, [], ends: true))
  }

  @Test("versions: the greatest common one is used; without one both sides close")
  func versions() {
    func limits(_ versions: ClosedRange<UInt16>) -> FabricLimits {
      var limits = FabricLimits()
      limits.versions = versions
      return limits
    }
    func meet(_ a: ClosedRange<UInt16>, _ b: ClosedRange<UInt16>) -> ([FabricEffect], [FabricEffect]) {
      var pair = MachinePair(limits(a), server: limits(b))
      pair.client(.started)
      pair.server(.started)
      pair.settle()
      return (pair.clientSaw, pair.serverSaw)
    }
    #expect(meet(1...1, 1...1) == ([.ready(version: 1)], [.ready(version: 1)]))
    #expect(meet(1...3, 2...4) == ([.ready(version: 3)], [.ready(version: 3)]))
    #expect(meet(1...2, 3...4) == ([.closed(.version)], [.closed(.version)]))
  }

  @Test("a widened window lets its stream run ahead by so much, in either direction, and no other stream")
  func widened() {
    for isServer in [true, false] {
      var pair = MachinePair.ready()
      let (wide, limits) = (1 << 20, pair.client.limits)
      pair.client(.open(Self.normal, [], ends: false))
      if isServer {
        pair.settle()
        pair.server(.widen(1, to: wide))
      } else {
        // Before the opening has left, too.
        pair.client(.widen(1, to: wide))
      }
      pair.client(.open(Self.normal, [], ends: false))
      pair.settle()
      let piece = [UInt8](repeating: 5, count: 64 << 10)
      for _ in 0..<64 {
        for id in [1, 3] as [StreamID] {
          let event = FabricEvent.send(id, piece, ends: false)
          if isServer { pair.client(event) } else { pair.server(event) }
        }
        pair.settle(consuming: false)
      }
      let saw = isServer ? pair.serverSaw : pair.clientSaw
      #expect(saw.count(1) == wide && saw.count(3) == Int(limits.window))
      #expect(pair.client.isOpen && pair.server.isOpen)
      // It is given back in portions of its own half.
      if isServer { pair.server(.consumed(1, wide)) } else { pair.client(.consumed(1, wide)) }
      pair.settle(consuming: false)
      #expect((isServer ? pair.serverSaw : pair.clientSaw).count(1) > wide)
    }
  }

  @Test("a reader that does not consume bounds its sender; consuming lets it go on")
  func credit() {
    var pair = MachinePair.ready()
    let limits = pair.client.limits
    pair.client(.open(Self.bulk, [], ends: false))
    let piece = [UInt8](repeating: 5, count: 64 << 10)
    func refusals() -> Int { pair.clientSaw.filter { $0 == .refused(1) }.count }
    var offered = 0
    while refusals() == 0 {
      pair.client(.send(1, piece, ends: false))
      if refusals() == 0 { offered += piece.count }
      pair.settle(consuming: false)
    }
    // A window at the peer and a buffer here, no byte more.
    #expect(pair.serverSaw.count(1) == Int(limits.window))
    #expect(pair.client.waitingBytes <= limits.sendBufferBytesMax)
    #expect(offered == Int(limits.window) + limits.sendBufferBytesMax)
    // A second stream is not held up by the first.
    pair.client(.open(Self.normal, [1], ends: true))
    pair.settle(consuming: false)
    #expect(pair.serverSaw.hasEnd(3))
    pair.server(.consumed(1, Int(limits.window)))
    pair.settle()
    #expect(pair.clientSaw.contains(.sendable(1)))
    #expect(pair.serverSaw.count(1) == offered)
  }

  @Test("a beat overtakes 64 MiB of bulk: at most one frame lies before it")
  func priority() {
    var limits = FabricLimits()
    limits.sendBufferBytesMax = 64 << 20
    var pair = MachinePair.ready(limits)
    pair.client(.open(Self.bulk, [UInt8](repeating: 1, count: 64 << 20), ends: true))
    for _ in 0..<10 { pair.exchange() }
    #expect(pair.client.waitingBytes > 60 << 20)
    let before = pair.serverSaw.count(1)
    pair.client(.open(Self.normal, [3], ends: true))
    pair.client(.open(Self.urgent, [2], ends: true))
    // What was under way arrives, then the beat, before a further byte of bulk.
    pair.exchange()
    pair.exchange()
    let beat = pair.serverSaw.firstIndex { $0 == .data(5, [2], ends: true) }
    let question = pair.serverSaw.firstIndex { $0 == .data(3, [3], ends: true) }
    #expect(beat != nil && question != nil && beat! < question!)
    #expect(Array(pair.serverSaw[..<beat!]).count(1) - before <= pair.room + FabricFrame.payloadBytesMax)
    pair.settle()
    #expect(pair.serverSaw.count(1) == 64 << 20 && pair.serverSaw.hasEnd(1))
  }

  @Test("streams of one priority take turns")
  func turns() {
    var pair = MachinePair.ready()
    pair.client(.room(0))
    for _ in 0..<4 { pair.client(.open(Self.bulk, [UInt8](repeating: 1, count: 128 << 10), ends: true)) }
    for _ in 0..<4 { pair.exchange() }
    let counts = [1, 3, 5, 7].map { pair.serverSaw.count(StreamID($0)) }
    #expect(counts.min()! > 0 && counts.max()! - counts.min()! <= 2 * FabricFrame.payloadBytesMax)
  }

  @Test("a deadline ends the stream on both sides at its instant; cancelling tells the peer")
  func deadlines() {
    var pair = MachinePair.ready()
    pair.client(.open(FabricOpening(method: 1, priority: .normal, deadlineMilliseconds: 250), [1], ends: true))
    pair.settle()
    pair.now += 249_000_000
    pair.client(.tick)
    #expect(pair.client.streamCount == 1)
    #expect(pair.client.nextTick == pair.now + 1_000_000)
    pair.now += 1_000_000
    pair.client(.tick)
    pair.server(.tick)
    #expect(pair.clientSaw.last == .ended(1, .deadline) && pair.serverSaw.last == .ended(1, .deadline))
    // An answer that comes too late is dropped on either side.
    pair.server(.send(1, [9], ends: true))
    #expect(pair.serverSaw.last == .refused(1))
    pair.client(.open(Self.normal, [1], ends: false))
    pair.settle()
    pair.client(.cancel(3))
    pair.settle()
    #expect(pair.serverSaw.last == .ended(3, .cancelledByPeer))
    #expect(pair.client.streamCount == 0 && pair.server.streamCount == 0)
    #expect(pair.client.isOpen && pair.server.isOpen)
  }

  @Test("pings measure the round trip; silence closes a half-open connection, a missing hello too")
  func silence() {
    var pair = MachinePair.ready()
    pair.now += 1_000_000_000
    pair.client(.tick)
    pair.now += 30_000_000
    pair.settle()
    #expect(pair.client.roundTrip == 30_000_000)
    for _ in 0..<4 {
      pair.now = pair.client.nextTick!
      pair.client(.tick)
      #expect(pair.client.isOpen)
    }
    // Four pings in a row brought nothing, and the fifth is due. A long sleep of this side counts as one.
    pair.now += 60_000_000_000
    pair.client(.tick)
    #expect(pair.clientSaw == [.closed(.silent)])
    #expect(pair.client.nextTick == nil)
    var mute = MachinePair()
    mute.server(.started)
    mute.now += 5_000_000_000
    mute.server(.tick)
    #expect(mute.serverSaw == [.closed(.helloTimeout)])
  }

  @Test("what a peer must not do closes the connection by its name")
  func misdeeds() {
    let open = FabricFrame.open(stream: 1, Self.normal, data: [], ends: false)
    let hello = FabricFrame.hello(least: 1, greatest: 1, window: 1 << 16)
    let kilobytes = [UInt8](repeating: 0, count: 16 << 10)
    let cases: [([FabricFrame], FabricClosure)] = [
      ([hello], .disorder), ([.data(stream: 1, [1], ends: false)], .disorder),
      ([.credit(stream: 2, bytes: 1)], .disorder),
      ([.open(stream: 2, Self.normal, data: [], ends: false)], .disorder), ([open, open], .disorder),
      ([open, .data(stream: 1, [], ends: true), .data(stream: 1, [1], ends: false)], .disorder),
      ([open] + Array(repeating: .data(stream: 1, kilobytes, ends: false), count: 17), .overrun),
      ([open] + Array(repeating: .credit(stream: 1, bytes: 1 << 24), count: 2), .overrun),
      ((0..<257).map { .open(stream: 1 + 2 * $0, Self.normal, data: [], ends: false) }, .flood),
      ([.goodbye(reason: 0)], .peer),
    ]
    for (frames, reason) in cases {
      var pair = MachinePair.ready()
      pair.server(.received(frames.flatMap { $0.encode() }))
      #expect(pair.serverSaw.last == .closed(reason), "\(frames.prefix(3))")
      #expect(pair.server.streamCount == 0)
    }
    // Pings that are never read back: the answers are bounded.
    var pair = MachinePair.ready()
    pair.server(.room(0))
    pair.server(.received((0..<5000).flatMap { FabricFrame.ping($0).encode() }))
    #expect(pair.serverSaw == [.closed(.flood)])
    var early = MachinePair()
    early.server(.started)
    early.server(.received(open.encode()))
    #expect(early.serverSaw == [.closed(.disorder)])
  }

  @Test("a cut in the middle of a frame, a close and a lost transport end every stream and the connection")
  func cut() {
    for event in [FabricEvent.transportEnded, .close] {
      var pair = MachinePair.ready()
      pair.client(.open(Self.normal, [1], ends: false))
      pair.settle()
      let frame = FabricFrame.data(stream: 1, [1, 2, 3], ends: true).encode()
      pair.server(.received(Array(frame.dropLast())))
      pair.server(event)
      let reason: FabricClosure = event == .close ? .here : .transport
      #expect(pair.serverSaw.suffix(2) == [.ended(1, .connectionClosed), .closed(reason)])
      #expect(pair.server.handle(.tick, at: .max).isEmpty)
    }
  }
}
