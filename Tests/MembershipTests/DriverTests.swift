// The driver: order of effects, flight recorder, bytes that are no gossip, and words that make no sense.

import Base
import Formats
import Membership
import Testing

@Suite struct DriverTests {
  struct Log: SwimPort {
    var lines: [String] = []
    mutating func send(_ plaintext: [UInt8], to node: NodeID, at address: GossipAddress) {
      lines.append("send \(plaintext.count <= 1178)")
    }
    mutating func pushPull(with node: NodeID?, at address: GossipAddress) { lines.append("push-pull \(address)") }
    mutating func persist(_ incarnation: Incarnation) { lines.append("persist \(incarnation)") }
    mutating func setTimer(_ instant: Instant) { lines.append("timer") }
    mutating func publish(_ news: MembershipNews) { lines.append("\(news)") }
    mutating func leaveFinished() { lines.append("left") }
  }

  private func active() -> (SwimDriver, Log) {
    var driver = SwimDriver(
      SwimMachine(node: Scene.id(1), profile: Scene.profile(1), configuration: .lan, seed: 1))
    var log = Log()
    driver.step(.start(stored: 0, seeds: [Scene.address(2)]), at: Instant(nanoseconds: 0), on: &log)
    driver.step(.persisted(32), at: Instant(nanoseconds: 5), on: &log)
    return (driver, log)
  }

  @Test("effects are done in order, the timer last")
  func order() {
    let (driver, log) = active()
    #expect(log.lines == ["persist 32", "push-pull 10.0.0.2:7402", "timer"])
    #expect(driver.fullState(at: Instant(nanoseconds: 9)) != nil)
  }

  @Test("bytes that are no gossip are counted by what is wrong, and change nothing")
  func foreignBytes() {
    var (driver, log) = active()
    let now = Instant(nanoseconds: 10)
    for bytes in [[], [9, 0, 0, 0], [UInt8](repeating: 1, count: 2000), [1, 77] + [UInt8](repeating: 0, count: 14)] {
      driver.receive(bytes, from: Scene.id(2), at: Scene.address(2), now: now, on: &log)
    }
    #expect(driver.refusedBytes == [.truncated: 1, .version: 1, .limit: 1, .damaged: 1])
    #expect(driver.machine.counters.datagramsReceived == 0)
  }

  @Test("the recorder keeps the last 64 steps, each on one line with its effects below")
  func recorder() {
    var (driver, log) = active()
    for n in 1...200 { driver.step(.tick, at: Instant(nanoseconds: Int64(n) * 1_000_000), on: &log) }
    #expect(driver.recorder.count == 64)
    #expect(driver.recorder.last?.description.hasPrefix("0.200 tick") == true)
    #expect(driver.recorder.map(\.at) == driver.recorder.map(\.at).sorted())
  }

  @Test("a member that talks nonsense makes nobody trap, and fills no memory")
  func nonsense() {
    var random = SeededGenerator(seed: 8)
    var scene = Scene(peers: 6)
    for _ in 0..<5000 {
      let updates = (0..<random.below(8)).map { _ in word(&random) }
      let sequence = UInt32(random.below(50))
      let messages: [GossipMessage] = [
        .gossip, .ack(sequence: sequence), .nack(sequence: sequence),
        .ping(sequence: sequence, target: Scene.id(random.below(9))),
        .pingRequest(sequence: sequence, target: Scene.id(random.below(9))),
      ]
      scene.now = scene.now + .milliseconds(random.below(40))
      scene.hear(messages[random.below(5)], updates, from: random.below(9))
      for sent in scene.effects.datagrams { #expect(sent.datagram.encode().count <= 1178) }
      for incarnation in scene.effects.persisted where random.oneIn(2) { scene.step(.persisted(incarnation)) }
    }
    #expect(scene.machine.others.count <= 8)
    #expect(scene.machine.phase == .active)
  }

  private func word(_ random: inout SeededGenerator) -> GossipUpdate {
    let (n, by) = (random.below(9), Scene.id(random.below(9)))
    let incarnation = random.oneIn(4) ? GossipLimits.incarnationMax : Incarnation(random.below(9))
    switch random.below(5) {
    case 0: return Scene.alive(n, incarnation)
    case 1: return .suspect(node: Scene.id(n), incarnation: incarnation, by: by)
    case 2: return .dead(node: Scene.id(n), incarnation: incarnation, by: by)
    case 3: return .left(node: Scene.id(n), incarnation: incarnation)
    default:
      return .health(node: Scene.id(n), incarnation: incarnation, GossipHealth(version: UInt32(random.below(99))))
    }
  }
}
