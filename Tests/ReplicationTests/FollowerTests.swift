// A replica under a primary: what it stores, cuts, acknowledges and publishes, and when.

import Base
import Formats
import Replication
import Testing

@Suite("A replica")
struct FollowerTests {
  typealias Scene = ReplicaScene

  @Test("records that follow are stored, acknowledged when synced, published when told")
  func ordinary() {
    var scene = Scene()
    scene.follow(1)
    let records = Scene.records([1, 1, 1])
    let last = records[2].position
    let effects = scene.append(1, behind: .start, records, commit: 0)
    #expect(effects.stored == records)
    #expect(effects.acks.isEmpty)
    #expect(scene.step(.synced(records[1].position)).acks.map(\.synced) == [records[1].position])
    #expect(scene.step(.synced(last)).acks.map(\.synced) == [last])
    #expect(scene.append(1, behind: last, commit: 2).published == [records[1].position])
    #expect(scene.machine.committed == records[1].position)
  }

  @Test("a log that does not match is refused with its end and its commit point")
  func mismatch() {
    let old = Scene.records([1, 1, 1])
    var scene = Scene(committed: old[0].position, tail: [old[1], old[2]])
    scene.follow(2)
    let ahead = Scene.records([1, 1, 1, 1, 2])
    let gap = scene.append(2, behind: ahead[3].position, [ahead[4]]).refusals
    #expect(gap.map(\.end) == [old[2].position])
    #expect(gap.map(\.committed) == [old[0].position])
    #expect(gap.map(\.why) == [.mismatch])
    #expect(gap.map(\.previous) == [4])
    let other = Scene.records(after: old[1].position, [1], salt: 9)
    #expect(scene.append(2, behind: other[0].position).refusals.map(\.end) == [old[2].position])
  }

  @Test("what contradicts the primary is cut first; records are stored when the cut is done")
  func cut() {
    let old = Scene.records([1, 1, 1])
    var scene = Scene(committed: old[0].position, tail: [old[1], old[2]])
    scene.follow(2)
    let new = Scene.records(after: old[0].position, [2, 2])
    let effects = scene.append(2, behind: old[0].position, new, commit: 3)
    #expect(effects.cuts == [old[0].position])
    #expect(effects.stored.isEmpty)
    #expect(effects.published.isEmpty)
    // What was durable before the cut is no acknowledgement of what is to replace it.
    #expect(effects.acks.isEmpty)
    #expect(scene.step(.cutDone(old[0].position)).stored == new)
    #expect(scene.step(.synced(new[1].position)).published == [new[1].position])
    #expect(scene.machine.counters.recordsCut == 2)
  }

  @Test("a place never goes back: a log that was cut is judged by how far it was, a restart too")
  func reached() {
    let old = Scene.records([1, 1, 2, 2])
    let was = LogPlace(epoch: 2, index: 4)
    var scene = Scene(committed: old[0].position, tail: Array(old[1...]))
    scene.follow(5)
    // The records of an older epoch come first; a long catch-up may take many messages to the first newer one.
    let new = Scene.records(after: old[1].position, [1, 1, 1, 5])
    scene.append(5, behind: old[1].position, Array(new[..<2]))
    scene.step(.cutDone(old[1].position))
    scene.step(.synced(new[1].position))
    #expect(scene.step(.fence(6)) == [.fenced(6, was)])
    var restarted = Scene(
      standing: ReplicaStanding(committed: old[0].position, tail: [old[1], new[0], new[1]], reached: was))
    #expect(restarted.step(.fence(6)) == [.fenced(6, was)])
    restarted.follow(7)
    restarted.append(7, behind: new[1].position, Array(new[2...]))
    restarted.step(.synced(new[3].position))
    #expect(restarted.step(.fence(8)) == [.fenced(8, LogPlace(epoch: 5, index: 6))])
  }

  @Test("an empty voter that may acknowledge nothing yet answers a question, or the primary would never send a record")
  func emptyVoterAnswers() {
    var scene = Scene()
    scene.follow(1, acknowledging: false)
    let answers = scene.append(1, behind: .start, asks: true).acks
    #expect(answers.map(\.synced) == [.start])
    #expect(answers.map(\.end) == [0])
    let first = Scene.records([1])
    #expect(scene.append(1, behind: .start, first).acks.isEmpty)
    #expect(scene.step(.synced(first[0].position)).acks.isEmpty)
    // Durable, and not yet known to ownership: still nothing.
    #expect(scene.append(1, behind: first[0].position, asks: true).acks.map(\.synced) == [.start])
    #expect(scene.step(.acknowledge(1)).acks.map(\.synced) == [first[0].position])
  }

  @Test("a write that fails while a cut is under way does not let records overtake the cut")
  func failureDuringCut() {
    let old = Scene.records([1, 1, 2, 2])
    let new = Scene.records(after: old[1].position, [1, 5])
    for end in [old[1].position, old[2].position] {
      var scene = Scene(committed: old[0].position, tail: [old[1]])
      scene.follow(2)
      scene.append(2, behind: old[1].position, Array(old[2...]))
      if end == old[2].position { scene.step(.synced(end)) }
      scene.follow(5)
      #expect(scene.append(5, behind: old[1].position, new).cuts == [old[1].position])
      scene.step(.failed(end))
      #expect(scene.append(5, behind: old[1].position, new).stored.isEmpty)
      #expect(scene.step(.cutDone(old[1].position)).stored == new)
    }
  }

  @Test("nothing is ever cut at or before the commit point: that is damage")
  func damageBelowCommit() {
    let old = Scene.records([1, 1])
    var scene = Scene(committed: old[1].position)
    scene.follow(2)
    let other = Scene.records([1, 2])
    #expect(scene.append(2, behind: .start, other).isDamaged)
    #expect(scene.machine.isDamaged)
    #expect(scene.step(.fence(3)).isEmpty)
  }

  @Test("duplicates are not stored again, and what is synced of them is acknowledged again")
  func duplicates() {
    var scene = Scene()
    scene.follow(1)
    let records = Scene.records([1, 1, 1])
    scene.append(1, behind: .start, Array(records[..<2]))
    let again = scene.append(1, behind: .start, records)
    #expect(again.stored == [records[2]])
    scene.step(.synced(records[2].position))
    let late = scene.append(1, behind: .start, Array(records[..<2]))
    #expect(late.stored.isEmpty)
    #expect(late.acks.map(\.synced) == [records[2].position])
  }

  @Test("epochs that are not followed are refused and counted, and a stranger in the epoch is not heard")
  func epochs() {
    var scene = Scene()
    scene.follow(5)
    let records = Scene.records([4])
    let stale = scene.append(4, behind: .start, records)
    #expect(stale.stored.isEmpty)
    #expect(stale.refusals.map(\.why) == [.epoch])
    #expect(stale.refusals.map(\.epoch) == [5])
    #expect(scene.append(6, behind: .start, records).stored.isEmpty)
    #expect(scene.append(5, behind: .start, Scene.records([5]), from: 3).isEmpty)
    #expect(scene.machine.counters.staleEpochDrops == 1)
    #expect(scene.machine.counters.unknownEpochDrops == 1)
    #expect(scene.machine.counters.strangerDrops == 1)
  }

  @Test("after a fence nothing of the old epoch is stored or acknowledged")
  func fenced() {
    var scene = Scene()
    scene.follow(1)
    let records = Scene.records([1, 1])
    scene.append(1, behind: .start, [records[0]])
    #expect(scene.step(.fence(2)) == [.fenced(2, .start)])
    #expect(scene.append(1, behind: records[0].position, [records[1]]).stored.isEmpty)
    // It was on its way to the disk, and is durable; only ownership hears.
    #expect(scene.step(.synced(records[0].position)).acks.isEmpty)
    #expect(scene.machine.synced == records[0].position)
  }

  @Test("nothing is acknowledged before ownership allows it; ownership hears of every sync until then")
  func leave() {
    var scene = Scene()
    scene.follow(1, acknowledging: false)
    let records = Scene.records([1, 1])
    #expect(scene.append(1, behind: .start, records, asks: true).acks.map(\.synced) == [.start])
    #expect(scene.step(.synced(records[0].position)) == [.synced(LogPlace(epoch: 1, index: 1))])
    #expect(scene.step(.synced(records[1].position)) == [.synced(LogPlace(epoch: 1, index: 2))])
    // It may have been deaf then: whenever the primary asks it hears again.
    let again = scene.append(1, behind: records[1].position, asks: true)
    #expect(again.acks.map(\.synced) == [.start])
    #expect(again.contains(.synced(LogPlace(epoch: 1, index: 2))))
    #expect(scene.step(.acknowledge(1)).acks.map(\.synced) == [records[1].position])
  }

  @Test("what an earlier epoch left durable is acknowledged only as far as this epoch's primary has it")
  func matchedOnly() {
    let old = Scene.records([1, 1, 1])
    var scene = Scene(tail: old)
    scene.follow(2)
    #expect(scene.append(2, behind: old[1].position, commit: 3, asks: true).acks.map(\.synced) == [old[1].position])
    #expect(scene.machine.committed == old[1].position)
  }

  @Test("only whole transactions are published")
  func groups() {
    var scene = Scene()
    scene.follow(1)
    let records = Scene.records([1, 1, 1, 1], open: [2, 3])
    scene.append(1, behind: .start, records, commit: 3)
    #expect(scene.step(.synced(records[2].position)).published == [records[0].position])
    #expect(scene.step(.synced(records[3].position)).published.isEmpty)
    #expect(scene.append(1, behind: records[3].position, commit: 4).published == [records[3].position])
  }

  @Test("a record waits for its recordings, what follows waits behind it, and nothing of it counts meanwhile")
  func recordings() {
    var scene = Scene()
    scene.follow(1)
    let records = Scene.records([1, 1, 1])
    let (a, b) = (RecordingID(bits: 1), RecordingID(bits: 2))
    let effects = scene.append(1, behind: .start, records, commit: 3, asks: true, naming: [2: [a, b]])
    #expect(effects.contains(.demand([a, b], from: Scene.id(2))))
    #expect(effects.stored == [records[0]])
    #expect(scene.step(.synced(records[0].position)).acks.map(\.synced) == [records[0].position])
    #expect(scene.step(.available([a])).stored.isEmpty)
    #expect(scene.step(.available([b])).stored == [records[1], records[2]])
    #expect(scene.step(.synced(records[2].position)).acks.map(\.synced) == [records[2].position])
  }

  @Test("a new epoch forgets what waited for recordings of the old one")
  func recordingsOfOldEpoch() {
    var scene = Scene()
    scene.follow(1)
    let records = Scene.records([1, 1])
    let id = RecordingID(bits: 1)
    scene.append(1, behind: .start, records, naming: [1: [id]])
    scene.follow(2)
    #expect(scene.step(.available([id])).stored.isEmpty)
    let new = Scene.records([2])
    #expect(scene.append(2, behind: .start, new).stored == new)
    #expect(scene.effects.cuts.isEmpty)
  }

  @Test("a failed write takes the log back to what is durable, and the primary sends the rest again")
  func failed() {
    var scene = Scene()
    scene.follow(1)
    let records = Scene.records([1, 1, 1])
    scene.append(1, behind: .start, records)
    scene.step(.synced(records[0].position))
    #expect(scene.step(.failed(records[0].position)).isEmpty)
    #expect(scene.machine.end == records[0].position)
    #expect(scene.append(1, behind: records[2].position).refusals.map(\.end) == [records[0].position])
    #expect(scene.append(1, behind: records[0].position, Array(records[1...])).stored == Array(records[1...]))
  }

  @Test("a disk that loses what was synced is damage")
  func failedBelowSynced() {
    var scene = Scene()
    scene.follow(1)
    let records = Scene.records([1, 1])
    scene.append(1, behind: .start, records)
    scene.step(.synced(records[1].position))
    #expect(scene.step(.failed(records[0].position)).isDamaged)
  }

  @Test("a write that fails during a cut leaves the cut to be done")
  func failedDuringCut() {
    let old = Scene.records([1, 1, 1])
    var scene = Scene(committed: old[0].position, tail: [old[1], old[2]])
    scene.follow(2)
    let new = Scene.records(after: old[0].position, [2])
    scene.append(2, behind: old[0].position, new)
    #expect(!scene.step(.failed(old[2].position)).isDamaged)
    #expect(scene.machine.end == old[2].position)
    #expect(scene.step(.cutDone(old[0].position)).isEmpty)
    #expect(scene.machine.end == old[0].position)
    #expect(scene.append(2, behind: old[0].position, new).stored == new)
  }

  @Test("a learner stores and acknowledges without a fence, and follows the record's epochs")
  func learner() {
    var scene = Scene()
    scene.step(.configure(Scene.record(3, primary: 2, voters: [2, 3, 4], learners: [1])))
    let records = Scene.records([3, 4])
    #expect(scene.append(3, behind: .start, [records[0]]).stored == [records[0]])
    #expect(scene.step(.synced(records[0].position)).acks.count == 1)
    scene.step(.configure(Scene.record(4, primary: 3, voters: [2, 3, 4], learners: [1])))
    #expect(scene.append(3, behind: records[0].position, asks: true).refusals.map(\.why) == [.epoch])
    #expect(scene.append(4, behind: records[0].position, [records[1]], from: 3).stored == [records[1]])
    scene.step(.configure(Scene.record(4, primary: 3, voters: [2, 3, 4])))
    #expect(scene.append(4, behind: records[1].position, asks: true, from: 3).refusals.count == 1)
  }

  @Test("a base takes the place of the log; its primary hears where to go on")
  func base() {
    let old = Scene.records([1, 1])
    var scene = Scene(committed: old[0].position, tail: [old[1]])
    scene.follow(3)
    let ask = ReplicationMessage.Base(account: Scene.account, epoch: 3, from: 2)
    #expect(scene.step(.message(.base(ask), from: Scene.id(2))) == [.needBase(from: Scene.id(2))])
    #expect(scene.step(.message(.base(ask), from: Scene.id(2))).isEmpty)
    let far = Scene.records(after: Position(epoch: 3, index: 90, checksum: Checksum(bits: 5)), [3, 3])
    let refusals = scene.step(.rebased(ReplicaStanding(committed: far[0].position))).refusals
    #expect(refusals.map(\.committed) == [far[0].position])
    #expect(scene.machine.committed == far[0].position)
    #expect(scene.append(3, behind: far[0].position, [far[1]]).stored == [far[1]])
  }

  @Test("a base never takes the place of a log that was farther")
  func shortBase() {
    let old = Scene.records([1, 1, 2])
    var scene = Scene(committed: old[0].position, tail: [old[1], old[2]])
    scene.follow(3)
    let base = Position(epoch: 1, index: 9, checksum: Checksum(bits: 5))
    let behind = Scene.records(after: base, [2])
    #expect(!scene.step(.rebased(ReplicaStanding(committed: base, tail: behind))).isDamaged)
    #expect(scene.step(.rebased(ReplicaStanding(committed: base))).isDamaged)
  }

  @Test("a standby is as fresh as its own words that the primary echoes, once their commit index is applied")
  func freshness() {
    var scene = Scene()
    scene.follow(1)
    scene.append(1, behind: .start, asks: true)
    let sent = scene.effects.acks[0].sentAt
    let records = Scene.records([1])
    scene.now = scene.now + .milliseconds(30)
    scene.append(1, behind: .start, records, commit: 1, echo: sent)
    #expect(scene.machine.freshness == nil)
    scene.step(.synced(records[0].position))
    let expected = ReplicaFreshness(asOf: Instant(nanoseconds: Int64(sent)), index: 1)
    #expect(scene.machine.freshness == expected)
    // What another life of this node said, or nobody, proves nothing.
    scene.append(1, behind: records[0].position, commit: 1, echo: UInt64(scene.now.nanoseconds) + 5)
    scene.append(1, behind: records[0].position, commit: 1, echo: 1)
    #expect(scene.machine.freshness == expected)
  }

  @Test("a reader that wants it newer makes the standby ask")
  func refresh() {
    var scene = Scene()
    scene.follow(1)
    scene.append(1, behind: .start, asks: true)
    #expect(scene.step(.refresh).acks.map(\.asks) == [true])
  }
}
