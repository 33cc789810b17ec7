// Probes, helpers, suspicion, hints.

import Base
import Formats
import Membership
import Testing

@Suite struct ProbeTests {
  @Test("every member is probed once in a round")
  func roundRobin() {
    var scene = Scene(peers: 12)
    let pings = scene.run(.milliseconds(200 * 12 + 200)).pings
    #expect(Set(pings) == Set(scene.peers))
  }

  @Test("a silent member is asked for through others, suspected, told of it, and dead after a while")
  func silentMember() {
    var scene = Scene(peers: 5)
    let silent = Scene.id(4)
    let effects = scene.run(.seconds(12), isSilent: { $0 == silent })
    let asked = effects.datagrams.filter { $0.datagram.message.description.hasPrefix("ping-req") }
    #expect(!asked.isEmpty && asked.allSatisfy { $0.to != silent })
    let warned = effects.datagrams.contains {
      $0.to == silent && $0.datagram.updates.contains(.suspect(node: silent, incarnation: 1, by: Scene.id(1)))
    }
    #expect(warned)
    #expect(effects.news.map(\.description).filter { $0.contains(silent.shortName) }.count == 2)
    #expect(scene.standing(4) == .dead)
    #expect(scene.peers.filter { scene.machine.member($0)?.standing == .alive }.count == 4)
  }

  @Test("confirmations shorten a suspicion to its least time", arguments: [(0, false), (3, true)])
  func confirmationsCount(confirmations: Int, isDead: Bool) {
    var scene = Scene(peers: 8)
    let silent = Scene.id(9)
    for n in 0...confirmations {
      scene.hear(.gossip, [.suspect(node: silent, incarnation: 1, by: Scene.id(2 + n))], from: 2)
    }
    // The same accuser again confirms nothing.
    scene.hear(.gossip, [.suspect(node: silent, incarnation: 1, by: Scene.id(2))], from: 2)
    scene.run(.milliseconds(1100))
    #expect((scene.standing(9) == .dead) == isDead)
  }

  @Test("nacks of helpers clear us of a failed probe, missing ones accuse us", arguments: [(true, 1), (false, 4)])
  func nacksCount(areSent: Bool, multiplier: Int) {
    var scene = Scene(peers: 6)
    while scene.machine.counters.probesFailed == 0 {
      scene.now = scene.now + .milliseconds(10)
      scene.step(.tick)
      for sent in scene.effects.datagrams {
        guard case .pingRequest(let sequence, _) = sent.datagram.message, areSent else { continue }
        let nack = GossipDatagram(incarnation: 1, message: .nack(sequence: sequence))
        _ = scene.machine.handle(.datagram(nack, from: sent.to, at: Scene.address(2)), at: scene.now)
      }
    }
    #expect(scene.machine.healthMultiplier == multiplier)
  }

  @Test("the health multiplier falls again when answers come")
  func recovers() {
    var scene = Scene(peers: 6)
    scene.run(.seconds(2), isSilent: { _ in true })
    #expect(scene.machine.healthMultiplier > 3)
    scene.run(.seconds(30))
    #expect(scene.machine.healthMultiplier == 1)
  }

  @Test("a member asked to probe for another passes the answer on, or says that there is none")
  func relays() {
    var scene = Scene(peers: 3)
    scene.hear(.pingRequest(sequence: 77, target: Scene.id(3)), from: 2)
    let ping = scene.effects.datagrams.first { $0.to == Scene.id(3) }
    guard case .ping(let sequence, Scene.id(3))? = ping?.datagram.message else {
      Issue.record("no ping")
      return
    }
    scene.hear(.ack(sequence: sequence), from: 3)
    #expect(scene.effects.datagrams.contains { $0.to == Scene.id(2) && $0.datagram.message == .ack(sequence: 77) })
    scene.hear(.pingRequest(sequence: 78, target: Scene.id(3)), from: 2)
    let effects = scene.run(.milliseconds(100), isSilent: { _ in true })
    #expect(effects.datagrams.contains { $0.to == Scene.id(2) && $0.datagram.message == .nack(sequence: 78) })
  }

  @Test("a ping for another node at this address is not answered")
  func foreignTarget() {
    var scene = Scene(peers: 3)
    scene.hear(.ping(sequence: 5, target: Scene.id(99)), from: 2)
    #expect(scene.effects.datagrams.isEmpty)
    #expect(scene.machine.counters.foreignTargetDrops == 1)
  }

  @Test("a closed stream is followed by a probe at once, a refused one by suspicion")
  func hints() {
    var scene = Scene(peers: 9)
    scene.run(.milliseconds(500))
    scene.step(.hint(.closed, about: Scene.id(4)))
    #expect(scene.effects.pings == [Scene.id(4)])
    #expect(scene.standing(4) == .alive)
    scene.step(.hint(.refused, about: Scene.id(5)))
    #expect(scene.standing(5) == .suspect)
    #expect(scene.effects.updates.contains(.suspect(node: Scene.id(5), incarnation: 1, by: Scene.id(1))))
  }

  @Test("round trips are measured by direct answers")
  func roundTrip() {
    var scene = Scene(peers: 1)
    for _ in 0..<300 {
      scene.now = scene.now + .milliseconds(10)
      scene.step(.tick)
      guard let sent = scene.effects.datagrams.first(where: { $0.datagram.message.description.hasPrefix("ping ") }),
        case .ping(let sequence, _) = sent.datagram.message
      else { continue }
      scene.now = scene.now + .milliseconds(7)
      scene.hear(.ack(sequence: sequence), from: 2)
    }
    #expect(scene.machine.member(Scene.id(2))?.roundTrip?.smoothed == .milliseconds(7))
  }
}
