// A member's own life: incarnations, refutation, goodbye, stalls.

import Base
import Formats
import Membership
import Testing

@Suite struct LifeTests {
  @Test("nothing is sent before the incarnation is durable")
  func persistsFirst() {
    var machine = SwimMachine(node: Scene.id(1), profile: Scene.profile(1), configuration: .lan, seed: 1)
    let now = Instant(nanoseconds: 0)
    let effects = machine.handle(.start(stored: 40, seeds: [Scene.address(2)]), at: now)
    #expect(effects == [.persist(72)])
    #expect(machine.fullState(at: now) == nil)
    let ping = GossipDatagram(incarnation: 1, message: .ping(sequence: 1, target: Scene.id(1)))
    #expect(machine.handle(.datagram(ping, from: Scene.id(2), at: Scene.address(2)), at: now).isEmpty)
    let active = machine.handle(.persisted(72), at: now)
    #expect(machine.incarnation == 41)
    #expect(active.contains(.pushPull(node: nil, at: Scene.address(2))))
  }

  @Test("a confirmation of less than what was asked for does not start the member")
  func shortConfirmation() {
    var machine = SwimMachine(node: Scene.id(1), profile: Scene.profile(1), configuration: .lan, seed: 1)
    _ = machine.handle(.start(stored: 40, seeds: []), at: Instant(nanoseconds: 0))
    _ = machine.handle(.persisted(40), at: Instant(nanoseconds: 0))
    #expect(machine.phase == .starting)
  }

  @Test("an accused member answers at once with a raised incarnation")
  func refutes() {
    var scene = Scene(peers: 4)
    scene.hear(.gossip, [.suspect(node: Scene.id(1), incarnation: 1, by: Scene.id(3))], from: 2)
    #expect(scene.machine.incarnation == 2)
    #expect(scene.effects.updates.contains(Scene.alive(1, 2)))
  }

  @Test("an old accusation changes nothing")
  func oldAccusation() {
    var scene = Scene(peers: 4)
    scene.hear(.gossip, [.suspect(node: Scene.id(1), incarnation: 1, by: Scene.id(3))], from: 2)
    scene.hear(.gossip, [.dead(node: Scene.id(1), incarnation: 1, by: Scene.id(3))], from: 2)
    #expect(scene.machine.incarnation == 2)
  }

  @Test("beyond the reserve a refutation waits for the disk")
  func refutationWaits() {
    var scene = Scene(peers: 4)
    scene.hear(.gossip, [.dead(node: Scene.id(1), incarnation: 500, by: Scene.id(3))], from: 2)
    #expect(scene.machine.incarnation == 1)
    #expect(scene.effects.persisted == [501 + 32])
    #expect(scene.run(.milliseconds(500)).datagrams.allSatisfy { $0.datagram.incarnation == 1 })
    scene.step(.persisted(533))
    #expect(scene.machine.incarnation == 501)
    #expect(scene.effects.updates.contains(Scene.alive(1, 501)))
  }

  @Test("a member that leaves says so, answers for a while and then is silent")
  func leaves() {
    var scene = Scene(peers: 4)
    scene.step(.leave)
    #expect(scene.effects.updates.contains(.left(node: Scene.id(1), incarnation: 1)))
    let effects = scene.run(.seconds(2))
    #expect(effects.contains(.leaveFinished))
    #expect(effects.pings.isEmpty)
    scene.hear(.ping(sequence: 1, target: Scene.id(1)), from: 2)
    #expect(scene.effects.datagrams.isEmpty)
  }

  @Test("a refutation that waits for the disk does not bring back a member that leaves meanwhile")
  func leavesWhileRefuting() {
    var scene = Scene(peers: 4)
    scene.hear(.gossip, [.dead(node: Scene.id(1), incarnation: 500, by: Scene.id(3))], from: 2)
    scene.step(.leave)
    scene.step(.persisted(533))
    #expect(scene.machine.incarnation == 1)
    #expect(!scene.run(.seconds(2)).updates.contains(Scene.alive(1, 501)))
  }

  @Test("who left stays left until a greater incarnation")
  func staysLeft() {
    var scene = Scene(peers: 4)
    scene.hear(.gossip, [.left(node: Scene.id(3), incarnation: 1)], from: 2)
    scene.hear(.gossip, [Scene.alive(3, 1), .dead(node: Scene.id(3), incarnation: 1, by: Scene.id(4))], from: 2)
    #expect(scene.standing(3) == .left)
    scene.hear(.gossip, [Scene.alive(3, 2)], from: 2)
    #expect(scene.standing(3) == .alive)
  }

  @Test("a stall of its own makes nobody dead")
  func stallIsForgiven() {
    var scene = Scene(peers: 1)
    scene.run(.milliseconds(900), isSilent: { _ in true })
    #expect(scene.standing(2) == .suspect)
    scene.now = scene.now + .seconds(60)
    scene.step(.tick)
    #expect(scene.standing(2) == .suspect)
    #expect(scene.machine.counters.stalls == 1)
    // The answer that lay in the socket meanwhile clears the suspect.
    scene.hear(.gossip, [Scene.alive(2, 2)], from: 2)
    #expect(scene.standing(2) == .alive)
  }

  @Test("a lagging loop and slow syncs stretch the patience, and are told to others")
  func healthIsTold() {
    var scene = Scene(peers: 4)
    scene.step(.sample(HealthSample(diskFillPermille: 990, loopLag: .milliseconds(120), syncLatency: .seconds(2))))
    #expect(scene.machine.healthMultiplier == 5)
    #expect(scene.machine.ownHealth.flags == .degraded)
    let told = scene.run(.seconds(2)).updates.contains {
      guard case .health(Scene.id(1), 1, let health) = $0 else { return false }
      return health.diskFillPermille == 990 && health.score == 4
    }
    #expect(told)
    scene.step(.sample(HealthSample()))
    #expect(scene.machine.healthMultiplier == 1)
  }

  @Test("the same seed does the same")
  func isDeterministic() {
    var (a, b) = (Scene(peers: 30), Scene(peers: 30))
    #expect(a.run(.seconds(3), isSilent: { $0 == Scene.id(5) }) == b.run(.seconds(3), isSilent: { $0 == Scene.id(5) }))
  }
}
