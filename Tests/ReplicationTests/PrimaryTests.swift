// A primary: what it sends, when it commits, and how it brings others on.

import Base
import Formats
import Replication
import Testing

@Suite("A primary")
struct PrimaryTests {
  typealias Scene = ReplicaScene

  @Test("a record goes to all replicas at once, and is committed when a write set has synced it")
  func ordinary() {
    var scene = Scene()
    let first = scene.lead(1)
    #expect(scene.effects.published.isEmpty)
    #expect(scene.ack(first.position, from: 2).contains(.committed(1)))
    #expect(scene.effects.published == [first.position])
    scene.ack(first.position, from: 3)
    let record = scene.write([1], sync: false)[0]
    for n in [2, 3] {
      #expect(scene.effects.appends(to: n).map(\.records) == [[record]])
      #expect(scene.effects.appends(to: n).map(\.previous) == [first.position])
      #expect(scene.effects.appends(to: n).map(\.commit) == [1])
    }
  }

  @Test("its own log counts only as far as its disk has it")
  func ownDisk() {
    var scene = Scene()
    let first = scene.lead(1)
    scene.ack(first.position, from: 2)
    let record = scene.write([1], sync: false)[0]
    #expect(scene.ack(record.position, from: 2).published.isEmpty)
    #expect(scene.ack(record.position, from: 3).published.isEmpty)
    #expect(scene.step(.synced(record.position)).published == [record.position])
  }

  @Test("its own log counts only when ownership allows it")
  func ownLeave() {
    var scene = Scene()
    for n in [2, 3] { scene.step(.peerUp(Scene.id(n))) }
    scene.step(.fence(1))
    scene.step(.configure(Scene.record(1, primary: 1)))
    scene.step(.follow(1))
    scene.step(.lead(1))
    let first = scene.write([1])[0]
    #expect(scene.effects.contains(.synced(LogPlace(epoch: 1, index: 1))))
    #expect(scene.ack(first.position, from: 2).published.isEmpty)
    #expect(scene.step(.acknowledge(1)).published == [first.position])
  }

  @Test("the tail of older epochs is replicated, and committed only with a record of the own epoch")
  func olderTail() {
    let old = Scene.records([1, 1])
    var scene = Scene(tail: old)
    for n in [2, 3] { scene.step(.peerUp(Scene.id(n))) }
    scene.step(.fence(2))
    scene.step(.configure(Scene.record(2, primary: 1)))
    scene.step(.follow(2))
    scene.step(.acknowledge(2))
    #expect(scene.step(.lead(2)).appends(to: 2).map(\.asks) == [true])
    #expect(scene.ack(old[1].position, from: 2).published.isEmpty)
    let own = scene.write([2])[0]
    #expect(scene.effects.published.isEmpty)
    #expect(scene.refuse(from: 3, behind: 2, end: .start).appends(to: 3).map(\.records) == [[old[0], old[1], own]])
    #expect(scene.ack(own.position, from: 3).published == [own.position])
  }

  @Test("while voters change both sets must have it")
  func bothSets() {
    var scene = Scene()
    let record = Scene.record(1, primary: 1, voters: [1, 2, 3], previous: [1, 4, 5])
    let first = scene.lead(1, record, connected: [2, 3, 4, 5])
    #expect(scene.ack(first.position, from: 2).published.isEmpty)
    #expect(scene.ack(first.position, from: 3).published.isEmpty)
    #expect(scene.ack(first.position, from: 4).published == [first.position])
  }

  @Test("a learner receives and does not count; what it has ownership hears")
  func learners() {
    var scene = Scene()
    let record = Scene.record(1, primary: 1, learners: [7])
    let first = scene.lead(1, record, connected: [7])
    scene.ack(first.position, from: 7)
    #expect(scene.effects.published.isEmpty)
    let told = scene.wait(.milliseconds(110))
    #expect(told.contains(.acknowledged([Scene.id(7): LogPlace(epoch: 1, index: 1)])))
  }

  @Test("only whole transactions are committed")
  func groups() {
    var scene = Scene()
    let first = scene.lead(1)
    scene.ack(first.position, from: 2)
    let group = scene.write([1, 1, 1], open: [2, 3])
    #expect(scene.ack(group[1].position, from: 2).published.isEmpty)
    #expect(scene.ack(group[2].position, from: 2).published == [group[2].position])
  }

  @Test("without a record to ride on, the commit point is told after a short delay, once")
  func commitTold() {
    var scene = Scene()
    let first = scene.lead(1)
    scene.ack(first.position, from: 3)
    scene.ack(first.position, from: 2)
    let told = scene.wait(.milliseconds(20))
    for n in [2, 3] { #expect(told.appends(to: n).map(\.commit) == [1]) }
    for n in [2, 3] { #expect(told.appends(to: n).map(\.asks) == [false]) }
    #expect(scene.wait(.milliseconds(200)).appends(to: 2).isEmpty)
  }

  @Test("a replica whose log does not fit is sent what it lacks at once")
  func goesBackAtOnce() {
    let old = Scene.records([1, 1, 1, 1, 1])
    var scene = Scene(tail: old)
    let own = scene.lead(4)
    // Its end is no place of this log, its commit point is.
    let other = Scene.records(after: old[2].position, [2, 2, 2, 3])
    let sent = scene.refuse(from: 2, behind: 5, end: other[3].position, committed: old[1].position).appends(to: 2)
    #expect(sent.map(\.previous) == [old[1].position])
    #expect(sent.map(\.records) == [[old[2], old[3], old[4], own]])
    // What else it refuses of what was sent before changes nothing.
    #expect(scene.refuse(from: 2, behind: 6, end: other[3].position, committed: old[1].position).isEmpty)
    scene.ack(own.position, from: 2)
    #expect(scene.write([4]).count == 1)
    #expect(scene.effects.appends(to: 2).map(\.previous) == [own.position])
  }

  @Test("a peer that comes back is asked what it has, and goes on there")
  func reconnect() {
    var scene = Scene()
    let first = scene.lead(1)
    scene.ack(first.position, from: 2)
    scene.ack(first.position, from: 3)
    scene.step(.peerDown(Scene.id(3)))
    let missed = scene.write([1, 1])
    #expect(scene.effects.appends(to: 3).isEmpty)
    let asked = scene.step(.peerUp(Scene.id(3))).appends(to: 3)
    #expect(asked.map(\.previous) == [first.position])
    #expect(asked.map(\.asks) == [true])
    #expect(scene.ack(first.position, from: 3).appends(to: 3).map(\.records) == [missed])
  }

  @Test("without an answer a connected peer is asked behind what it was sent, ever more seldom")
  func silence() {
    var scene = Scene()
    let first = scene.lead(1)
    scene.ack(first.position, from: 2)
    scene.ack(first.position, from: 3)
    let record = scene.write([1])[0]
    let asked = scene.wait(.milliseconds(4000)).appends(to: 3).filter(\.asks)
    #expect(asked.count == 3)
    #expect(asked.allSatisfy { $0.previous == record.position && $0.records.isEmpty })
    // It has the record after all, though not on its disk yet.
    #expect(scene.ack(first.position, from: 3, end: 2).appends(to: 3).isEmpty)
  }

  @Test("a peer that does not follow the epoch yet is asked soon, then ever more seldom")
  func notYetFollowing() {
    var scene = Scene()
    scene.lead(2)
    scene.refuse(from: 3, behind: 0, end: .start, epoch: 1, why: .epoch)
    #expect(scene.wait(.milliseconds(39)).appends(to: 3).filter(\.asks).isEmpty)
    #expect(scene.wait(.milliseconds(10)).appends(to: 3).filter(\.asks).count == 1)
    scene.refuse(from: 3, behind: 0, end: .start, epoch: 1, why: .epoch)
    #expect(scene.wait(.milliseconds(600)).appends(to: 3).filter(\.asks).count == 3)
  }

  @Test("no more bytes are out to one peer than its window")
  func window() {
    var configuration = ReplicationConfiguration()
    configuration.inFlightBytesMax = 1000
    configuration.messageBytesMax = 500
    var scene = Scene(configuration)
    let first = scene.lead(1)
    scene.ack(first.position, from: 2)
    scene.ack(first.position, from: 3)
    let records = scene.write([Epoch](repeating: 1, count: 20), bytes: 146)
    let sent = scene.effects.appends(to: 2)
    #expect(sent.map(\.records.count) == [2, 2])
    #expect(scene.ack(records[1].position, from: 2).appends(to: 2).map(\.records) == [[records[4], records[5]]])
  }

  @Test("what was acknowledged while the log was read is not sent, and leaves the window free")
  func acknowledgedDuringRead() {
    let log = Scene.records([Epoch](repeating: 1, count: 5))
    var scene = Scene(committed: log[4].position)
    scene.lead(2, connected: [3])
    scene.refuse(from: 3, behind: 5, end: log[1].position, committed: log[0].position)
    scene.step(.read(for: Scene.id(3), from: 3, [log[2], log[3]]))
    // It has them, its disk has not; so the log is read behind what its disk has.
    #expect(
      scene.ack(log[1].position, from: 3, end: 4).contains { if case .read(_, 3, _) = $0 { true } else { false } })
    scene.ack(log[3].position, from: 3)
    let effects = scene.step(.read(for: Scene.id(3), from: 3, [log[2], log[3]]))
    #expect(effects.appends(to: 3).isEmpty)
    #expect(effects.contains { if case .read(_, 5, _) = $0 { true } else { false } })
  }

  @Test("what memory has no more is read from the log, what the log has no more comes with a base")
  func catchUp() {
    var configuration = ReplicationConfiguration()
    configuration.memoryBytesMax = 300
    var scene = Scene(configuration)
    scene.lead(1, connected: [2])
    let records = scene.write([Epoch](repeating: 1, count: 10))
    scene.ack(records[9].position, from: 2)
    let log = Scene.records([Epoch](repeating: 1, count: 11))
    scene.step(.peerUp(Scene.id(3)))
    let read = scene.refuse(from: 3, behind: 11, end: log[2].position, committed: log[1].position)
    #expect(read.contains(.read(for: Scene.id(3), from: 4, bytesMax: configuration.readBytesMax)))
    let sent = scene.step(.read(for: Scene.id(3), from: 4, Array(log[3..<6]))).appends(to: 3)
    #expect(sent.map(\.previous) == [log[2].position])
    #expect(sent.map(\.records) == [Array(log[3..<6])])
    #expect(
      scene.ack(log[5].position, from: 3).contains(
        .read(for: Scene.id(3), from: 7, bytesMax: configuration.readBytesMax)))
    // The next ones follow without waiting.
    let more = scene.step(.read(for: Scene.id(3), from: 7, Array(log[6..<8])))
    #expect(more.appends(to: 3).map(\.asks) == [false])
    #expect(more.contains(.read(for: Scene.id(3), from: 9, bytesMax: configuration.readBytesMax)))
    let gone = scene.step(.read(for: Scene.id(3), from: 9, nil))
    #expect(gone.contains(.rebase(for: Scene.id(3))))
    #expect(
      gone.contains(.send(.base(.init(account: Scene.account, epoch: 1, from: 9)), to: Scene.id(3))))
    // With its base it goes on.
    let next = scene.refuse(from: 3, behind: 0, end: log[9].position, committed: log[9].position)
    #expect(next.contains(.read(for: Scene.id(3), from: 11, bytesMax: configuration.readBytesMax)))
  }

  @Test("an end that the log on the disk contradicts is passed over for the commit point")
  func readContradicts() {
    let log = Scene.records([Epoch](repeating: 1, count: 11))
    var scene = Scene(committed: log[9].position, tail: [log[10]])
    scene.lead(3, connected: [3])
    let other = Scene.records(after: log[3].position, [2, 2])
    let read = scene.refuse(from: 3, behind: 11, end: other[1].position, committed: log[1].position)
    #expect(read.contains { if case .read(_, 7, _) = $0 { true } else { false } })
    let again = scene.step(.read(for: Scene.id(3), from: 7, [log[6]]))
    #expect(again.contains { if case .read(_, 3, _) = $0 { true } else { false } })
    #expect(scene.step(.read(for: Scene.id(3), from: 3, [log[2]])).appends(to: 3).map(\.records) == [[log[2]]])
  }

  @Test("a peer whose committed records are others gives alarm and gets nothing")
  func contradiction() {
    let log = Scene.records([1, 1])
    var scene = Scene(committed: log[0].position, tail: [log[1]])
    scene.lead(3)
    let other = Scene.records([2, 2])
    #expect(scene.refuse(from: 3, behind: 2, end: other[1].position, committed: other[1].position).isDamaged)
    #expect(!scene.machine.isDamaged)
    scene.write([3])
    #expect(scene.effects.appends(to: 3).isEmpty)
    #expect(!scene.effects.appends(to: 2).isEmpty)
  }

  @Test("acknowledgements of other epochs, of records that are not there, and of strangers are dropped and counted")
  func unfit() {
    var scene = Scene()
    let first = scene.lead(2)
    scene.ack(first.position, from: 2, epoch: 1)
    scene.ack(Position(epoch: 2, index: 9, checksum: .zero), from: 2)
    scene.ack(Position(epoch: 2, index: 1, checksum: .zero), from: 2)
    scene.ack(first.position, from: 9)
    #expect(scene.machine.committed == .start)
    #expect(scene.machine.counters.staleEpochDrops == 1)
    #expect(scene.machine.counters.unfitAckDrops == 2)
    #expect(scene.machine.counters.strangerDrops == 1)
  }

  @Test("a hand-over is over when everything is committed and the successor has it; if it fails the epoch goes on")
  func handOver() {
    var scene = Scene()
    let first = scene.lead(1)
    scene.ack(first.position, from: 2)
    let last = scene.write([1])[0]
    #expect(!scene.step(.finish(1, successor: Scene.id(3))).contains(.epochFinished(1)))
    #expect(!scene.ack(last.position, from: 2).contains(.epochFinished(1)))
    #expect(scene.ack(last.position, from: 3).contains(.epochFinished(1)))
    scene.step(.stop(1))
    #expect(scene.machine.leading == nil)
    scene.step(.resume(1))
    let more = scene.write([1])[0]
    #expect(scene.ack(more.position, from: 2).published == [more.position])
  }

  @Test("a primary that is no voter any more leads on, also after a hand-over that fails")
  func noVoter() {
    var scene = Scene()
    let first = scene.lead(1)
    scene.ack(first.position, from: 2)
    scene.ack(first.position, from: 3)
    scene.step(.configure(Scene.record(1, primary: 1, voters: [2, 3, 4])))
    scene.step(.stop(1))
    scene.step(.resume(1))
    #expect(scene.machine.leading == 1)
    let more = scene.write([1])[0]
    scene.ack(more.position, from: 2)
    #expect(scene.ack(more.position, from: 3).published == [more.position])
  }

  @Test("a failed write ends the epoch for good")
  func failed() {
    var scene = Scene()
    let first = scene.lead(1)
    scene.ack(first.position, from: 2)
    scene.write([1], sync: false)
    #expect(scene.step(.failed(first.position)) == [.localWriteFailed])
    #expect(scene.machine.leading == nil)
    scene.step(.resume(1))
    #expect(scene.machine.leading == nil)
    #expect(scene.machine.end == first.position)
  }

  @Test("a fence by a newer epoch ends the lead; what the writer had on its way is still a part of the log")
  func fenced() {
    var scene = Scene()
    let first = scene.lead(1)
    #expect(scene.step(.fence(2)) == [.fenced(2, LogPlace(epoch: 1, index: 1))])
    #expect(scene.machine.leading == nil)
    let late = Scene.records(after: first.position, [1])
    scene.step(.appended(late))
    #expect(scene.machine.end == late[0].position)
    #expect(scene.ack(late[0].position, from: 2, epoch: 1).published.isEmpty)
  }

  @Test("an echo is given only when a record of the own epoch is committed, and at once to who asks")
  func echo() {
    var scene = Scene()
    let first = scene.lead(1)
    #expect(scene.step(.peerUp(Scene.id(2))).appends(to: 2).map(\.echo) == [0])
    scene.ack(first.position, from: 2, sentAt: 500)
    #expect(scene.ack(first.position, from: 2, sentAt: 700, asks: true).appends(to: 2).map(\.echo) == [700])
    #expect(scene.ack(first.position, from: 2, sentAt: 600).appends(to: 2).isEmpty)
  }
}
