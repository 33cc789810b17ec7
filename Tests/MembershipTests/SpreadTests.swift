// How words spread, and how full states are merged.

import Base
import Formats
import Membership
import Testing

@Suite struct SpreadTests {
  @Test("an update is told a bounded number of times, then all is quiet")
  func boundedDissemination() {
    var scene = Scene(peers: 20)
    scene.run(.seconds(5))
    let word = GossipUpdate.left(node: Scene.id(7), incarnation: 1)
    scene.hear(.gossip, [word], from: 2)
    let effects = scene.effects + scene.run(.seconds(5))
    let told = effects.updates.filter { $0 == word }.count
    #expect(told == scene.machine.configuration.retransmissions(20))
    #expect(scene.run(.seconds(5)).datagrams.allSatisfy { $0.datagram.updates.isEmpty })
  }

  @Test("no datagram exceeds its size, whatever there is to tell")
  func datagramSize() throws {
    var scene = Scene(peers: 250)
    let effects = scene.run(.seconds(3))
    let sizes = effects.datagrams.map { $0.datagram.encode().count }
    #expect(try #require(sizes.max()) <= 1178)
    #expect(try #require(sizes.max()) > 1000)
  }

  @Test("the order in which words arrive does not matter")
  func orderDoesNotMatter() {
    let words: [GossipUpdate] = [
      Scene.alive(3, 2), .suspect(node: Scene.id(3), incarnation: 2, by: Scene.id(4)), Scene.alive(3, 4),
      .dead(node: Scene.id(3), incarnation: 3, by: Scene.id(5)), .left(node: Scene.id(3), incarnation: 2),
      .dead(node: Scene.id(3), incarnation: 1, by: Scene.id(5)),
    ]
    var random = SeededGenerator(seed: 3)
    for _ in 0..<100 {
      var scene = Scene(peers: 4)
      for word in words.shuffled(using: &random) { scene.hear(.gossip, [word], from: 2) }
      #expect(scene.standing(3) == .alive)
      #expect(scene.machine.member(Scene.id(3))?.incarnation == 4)
    }
  }

  @Test("a death heard from the other side of a cut is a suspicion first, so that the member may object")
  func mergedDeath() {
    var scene = Scene(peers: 4)
    scene.step(.state(GossipState(entries: [Scene.entry(3, .dead)]), from: Scene.id(2)))
    #expect(scene.standing(3) == .suspect)
    scene.hear(.gossip, [Scene.alive(3, 2)], from: 3)
    #expect(scene.standing(3) == .alive)
  }

  @Test("a death told by another is a suspicion until the member had time to object, and is believed then")
  func toldDeath() {
    let death = GossipUpdate.dead(node: Scene.id(3), incarnation: 1, by: Scene.id(4))
    var scene = Scene(peers: 4)
    scene.hear(.gossip, [death], from: 2)
    #expect(scene.standing(3) == .suspect)
    let warnings = scene.effects.datagrams.filter { $0.to == Scene.id(3) }.flatMap(\.datagram.updates)
    #expect(warnings == [.suspect(node: Scene.id(3), incarnation: 1, by: Scene.id(4))])
    var objecting = scene
    objecting.hear(.gossip, [Scene.alive(3, 2)], from: 3)
    #expect(objecting.standing(3) == .alive)
    scene.run(.milliseconds(490), isSilent: { $0 == Scene.id(3) })
    #expect(scene.standing(3) == .suspect)
    scene.run(.milliseconds(20), isSilent: { $0 == Scene.id(3) })
    #expect(scene.standing(3) == .dead)
  }

  @Test("a death told by another ends a suspicion that has lasted long enough at once")
  func toldDeathOfSuspect() {
    var scene = Scene(peers: 4)
    scene.hear(.gossip, [.suspect(node: Scene.id(3), incarnation: 1, by: Scene.id(4))], from: 2)
    scene.run(.milliseconds(600), isSilent: { $0 == Scene.id(3) })
    #expect(scene.standing(3) == .suspect)
    scene.hear(.gossip, [.dead(node: Scene.id(3), incarnation: 1, by: Scene.id(4))], from: 2)
    #expect(scene.standing(3) == .dead)
  }

  @Test("a full state that calls this member dead is refuted")
  func mergedOwnDeath() {
    var scene = Scene(peers: 4)
    scene.step(.state(GossipState(entries: [Scene.entry(1, .dead, 1)]), from: Scene.id(2)))
    #expect(scene.machine.incarnation == 2)
  }

  @Test("the grave of an unknown member is kept, but nobody is told that it died")
  func unknownGrave() {
    var scene = Scene(peers: 1)
    scene.step(.state(GossipState(entries: [Scene.entry(9, .dead, 3)]), from: Scene.id(2)))
    #expect(scene.standing(9) == .dead)
    #expect(scene.effects.news.isEmpty)
    scene.hear(.gossip, [Scene.alive(9, 3)], from: 2)
    #expect(scene.standing(9) == .dead)
  }

  @Test("the dead are tried again, and forgotten in the end")
  func deadAreTried() {
    var configuration = SwimConfiguration.lan
    configuration.deadRetention = .seconds(100)
    var scene = Scene(peers: 2, configuration)
    scene.hear(.gossip, [.dead(node: Scene.id(3), incarnation: 1, by: Scene.id(2))], from: 2)
    let early = scene.run(.seconds(30))
    #expect(early.contains(.pushPull(node: Scene.id(3), at: Scene.address(3))))
    let late = scene.run(.seconds(200))
    #expect(late.news == [.forgotten(Scene.id(3))])
    #expect(scene.standing(3) == nil)
  }

  @Test("a stranger's datagram leads to a full exchange")
  func stranger() {
    var scene = Scene(peers: 1)
    scene.hear(.ping(sequence: 4, target: Scene.id(1)), from: 8)
    #expect(scene.effects.contains(.pushPull(node: Scene.id(8), at: Scene.address(8))))
    #expect(scene.effects.datagrams.contains { $0.datagram.message == .ack(sequence: 4) })
  }

  @Test("a later report about a member's health replaces the earlier one, never the other way round")
  func healthOrder() {
    var scene = Scene(peers: 3)
    let (older, newer) = (GossipHealth(version: 4, score: 1), GossipHealth(version: 5, score: 2))
    scene.hear(.gossip, [.health(node: Scene.id(3), incarnation: 1, newer)], from: 2)
    scene.hear(.gossip, [.health(node: Scene.id(3), incarnation: 1, older)], from: 2)
    #expect(scene.machine.member(Scene.id(3))?.health == newer)
    scene.hear(.gossip, [.health(node: Scene.id(3), incarnation: 7, GossipHealth(version: 9))], from: 2)
    #expect(scene.machine.member(Scene.id(3))?.health == newer)
  }

  @Test("both profiles can work, and a configuration that cannot is named")
  func configurations() {
    #expect(SwimConfiguration.lan.problem == nil)
    #expect(SwimConfiguration.wan.problem == nil)
    var wrong = SwimConfiguration.lan
    wrong.probeTimeout = .milliseconds(150)
    #expect(wrong.problem != nil)
  }
}
