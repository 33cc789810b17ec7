// The rules of leases, adoption, election and hand-over, one by one.

import Base
import Control
import Formats
import Testing

@Suite("Ownership")
struct OwnershipTests {
  private typealias Scene = OwnershipScene

  /// Node 1 is a voter that granted to node 2 in epoch 1.
  private func granting() -> Scene {
    var scene = Scene()
    scene.list([scene.record(1, primary: 2)])
    scene.step(.fenced(scene.account, 1, .start))
    scene.wait(scene.configuration.grantLength + .milliseconds(10))
    scene.step(.persisted(OwnershipPromise(account: scene.account, epoch: 1, floor: .start)))
    scene.hear(.beat(.init(life: 1, sequence: 1, claims: [scene.claim(1)])), from: 2)
    return scene
  }

  /// Node 1 leads epoch 1 and serves, with a lease of node 2.
  private func serving() -> Scene {
    var scene = Scene()
    scene.lead(1)
    scene.grant(from: 2)
    scene.step(.committed(scene.account, 1))
    return scene
  }

  @Test("a voter that started waits one full lease before it grants or adopts")
  func startWait() {
    var scene = Scene()
    scene.list([scene.record(1, primary: 2)])
    scene.step(.fenced(scene.account, 1, .start))
    scene.hear(.beat(.init(life: 1, sequence: 1, claims: [scene.claim(1)])), from: 2)
    #expect(scene.replies(to: 2).map(\.isGranted) == [false])
    #expect(scene.wait(.milliseconds(440)).allSatisfy { if case .persist = $0 { false } else { true } })
    scene.wait(.milliseconds(30))
    #expect(scene.persisted.map(\.epoch) == [1])
  }

  @Test("a voter takes claims of the epoch that it adopted, from the primary that was named")
  func claims() {
    var scene = granting()
    #expect(scene.replies(to: 2).first?.accepted == [scene.claim(1)])
    #expect(scene.replies(to: 2).first?.isGranted == true)
    scene.hear(.beat(.init(life: 1, sequence: 1, claims: [scene.claim(1)])), from: 3)
    #expect(scene.replies(to: 3).first?.accepted == [])
  }

  @Test("an adopted epoch is reported only after the granted lease is over and the disk has it")
  func adoption() {
    var scene = granting()
    scene.watch(scene.record(2, primary: nil))
    #expect(scene.effects.contains(.fence(scene.account, 2)))
    scene.step(.fenced(scene.account, 2, LogPlace(epoch: 1, index: 5)))
    scene.wait(.milliseconds(440))
    #expect(scene.persisted.isEmpty)
    scene.wait(.milliseconds(20))
    let promise = OwnershipPromise(account: scene.account, epoch: 2, floor: LogPlace(epoch: 1, index: 5))
    #expect(scene.persisted == [promise])
    #expect(scene.reports.isEmpty)
    scene.step(.persisted(promise))
    #expect(scene.reports.map(\.place) == [LogPlace(epoch: 1, index: 5), LogPlace(epoch: 1, index: 5)])
    #expect(!scene.machine.mayStore(scene.account, 1))
    #expect(scene.machine.mayStore(scene.account, 2))
  }

  @Test("an ended grant is told in every reply until the holder confirms it")
  func endedGrants() {
    var scene = granting()
    scene.watch(scene.record(2, primary: nil))
    for sequence in 2...4 {
      scene.hear(.beat(.init(life: 1, sequence: UInt64(sequence))), from: 2)
      #expect(scene.replies(to: 2).first?.ended == [scene.claim(2)])
    }
    scene.hear(.beat(.init(life: 1, sequence: 5, confirmed: [scene.claim(2)])), from: 2)
    #expect(scene.replies(to: 2).first?.ended == [])
  }

  @Test("a primary serves only after a record of its own is committed, and while a write set grants")
  func service() {
    var scene = Scene()
    scene.lead(1)
    #expect(scene.leads.map(\.epoch) == [1])
    let sent = scene.now
    scene.now = scene.now + .milliseconds(60)
    scene.grant(from: 2)
    #expect(!scene.machine.mayServe(scene.account, 1, at: scene.now))
    scene.step(.committed(scene.account, 1))
    #expect(scene.machine.mayServe(scene.account, 1, at: scene.now))
    // Counted from the sending of the beat.
    #expect(scene.machine.mayServe(scene.account, 1, at: sent + .milliseconds(449)))
    #expect(!scene.machine.mayServe(scene.account, 1, at: sent + .milliseconds(450)))
    #expect(!scene.machine.mayServe(scene.account, 2, at: scene.now))
  }

  @Test("an answer of a granter's earlier life, or to an earlier life of the holder, is no lease")
  func lives() {
    var scene = serving()
    scene.wait(.milliseconds(200))
    scene.grant(from: 2, life: 3)
    // The new process has not taken the claim: the beat did not carry it any more.
    #expect(!scene.machine.mayServe(scene.account, 1, at: scene.now))
    scene.wait(.milliseconds(100))
    #expect(scene.beats(to: 2).last?.claims == [scene.claim(1)])
    scene.grant(from: 2, life: 2)
    #expect(!scene.machine.mayServe(scene.account, 1, at: scene.now))
    scene.wait(.milliseconds(100))
    scene.grant(from: 2, life: 3)
    #expect(scene.machine.mayServe(scene.account, 1, at: scene.now))
  }

  @Test("a primary that hears of a newer epoch stops at once and confirms")
  func deposed() {
    var scene = serving()
    scene.wait(.milliseconds(100))
    scene.grant(from: 2, ended: [scene.claim(2)])
    #expect(scene.effects.contains(.stop(scene.account, 1)))
    #expect(scene.machine.servingEpoch(scene.account) == nil)
    scene.wait(.milliseconds(100))
    #expect(scene.beats(to: 2).contains { $0.confirmed == [scene.claim(2)] })
  }

  @Test("a primary that starts again asks for another epoch instead of going on in its own")
  func restartedPrimary() {
    let promise = OwnershipPromise(
      account: AccountID(bits: 77), epoch: 4, floor: LogPlace(epoch: 4, index: 9))
    var scene = Scene(promises: [promise])
    scene.list([scene.record(4, primary: 1)])
    scene.step(.fenced(scene.account, 4, LogPlace(epoch: 4, index: 9)))
    scene.wait(.milliseconds(100))
    #expect(scene.leads.isEmpty)
    #expect(scene.machine.leadingEpoch(scene.account) == nil)
    scene = Scene(promises: [promise])
    scene.list([scene.record(4, primary: 1)])
    #expect(scene.transactions.first?.entries.first?.record == scene.record(5, primary: nil))
  }

  @Test("a voter whose log lost what it had takes no part")
  func damagedVoter() {
    let promise = OwnershipPromise(account: AccountID(bits: 77), epoch: 4, floor: LogPlace(epoch: 4, index: 9))
    var scene = Scene(promises: [promise])
    scene.list([scene.record(5, primary: nil)])
    scene.step(.fenced(scene.account, 4, .start))
    #expect(scene.effects.contains(.damaged(scene.account)))
    scene.step(.fenced(scene.account, 5, .start))
    scene.wait(.seconds(2))
    #expect(scene.persisted.isEmpty)
    #expect(scene.reports.isEmpty)
    #expect(!scene.machine.mayStore(scene.account, 5))
  }

  @Test("the voter whose log reaches farthest is named, against the revision of the epoch")
  func promotion() {
    var scene = Scene()
    scene.list([scene.record(3, primary: nil)])
    scene.step(.fenced(scene.account, 3, LogPlace(epoch: 2, index: 4)))
    scene.wait(scene.configuration.grantLength + .milliseconds(10))
    scene.step(.persisted(OwnershipPromise(account: scene.account, epoch: 3, floor: LogPlace(epoch: 2, index: 4))))
    #expect(scene.transactions.isEmpty)
    let report = OwnershipMessage.Report(claim: scene.claim(3), place: LogPlace(epoch: 2, index: 7), hears: true)
    scene.hear(.reports([report]), from: 3)
    // The winner goes first; another voter does it when nothing comes of that.
    #expect(scene.transactions.isEmpty)
    scene.wait(.milliseconds(600))
    let named = scene.transactions.flatMap(\.entries)
    #expect(named.first == OwnershipEntry(record: scene.record(3, primary: 3), revision: 1))
  }

  @Test("a report of less than was once acknowledged does not count")
  func damagedReport() {
    var scene = Scene()
    scene.list([scene.record(3, primary: nil)])
    scene.step(.fenced(scene.account, 3, LogPlace(epoch: 2, index: 4)))
    scene.wait(scene.configuration.grantLength + .milliseconds(10))
    scene.step(.persisted(OwnershipPromise(account: scene.account, epoch: 3, floor: LogPlace(epoch: 2, index: 4))))
    let place = ReplicaPlace(account: scene.account, node: Scene.id(3), place: LogPlace(epoch: 2, index: 9))
    scene.hear(.beat(.init(life: 1, sequence: 1, places: [place])), from: 2)
    let report = OwnershipMessage.Report(claim: scene.claim(3), place: LogPlace(epoch: 2, index: 7), hears: true)
    scene.hear(.reports([report]), from: 3)
    scene.wait(.seconds(1))
    #expect(scene.transactions.isEmpty)
  }

  @Test("an older record that a watch brings late changes nothing")
  func lateWatch() {
    var scene = granting()
    scene.watch(scene.record(2, primary: nil), at: 9)
    scene.watch(scene.record(1, primary: 2), at: 5)
    #expect(scene.effects.allSatisfy { if case .setTimer = $0 { true } else { false } })
    #expect(scene.machine.record(scene.account)?.epoch == 2)
  }

  @Test("a claim in an epoch whose primary is not known yet makes the voter read the record again")
  func earlyClaim() {
    var scene = Scene()
    scene.list([scene.record(3, primary: nil)])
    scene.step(.fenced(scene.account, 3, .start))
    scene.wait(scene.configuration.grantLength + .milliseconds(10))
    scene.step(.persisted(OwnershipPromise(account: scene.account, epoch: 3, floor: .start)))
    scene.hear(.beat(.init(life: 1, sequence: 1, claims: [scene.claim(3)])), from: 2)
    #expect(scene.replies(to: 2).first?.accepted == [])
    #expect(scene.effects.contains { if case .request(_, .get(scene.account)) = $0 { true } else { false } })
  }

  @Test("a primary without beats is given up after its lease, and at once after a hint")
  func lapse() {
    var scene = granting()
    scene.wait(.milliseconds(400))
    #expect(scene.transactions.isEmpty)
    scene.wait(.milliseconds(300))
    #expect(scene.transactions.first?.entries.first?.record == scene.record(2, primary: nil))
    scene = granting()
    scene.step(.hint(.refused, about: Scene.id(2)))
    scene.wait(.milliseconds(70))
    #expect(scene.transactions.first?.entries.first?.record == scene.record(2, primary: nil))
    scene = granting()
    scene.step(.hint(.closed, about: Scene.id(2)))
    scene.hear(.beat(.init(life: 1, sequence: 2)), from: 2)
    scene.wait(.milliseconds(300))
    #expect(scene.transactions.isEmpty)
  }

  @Test("without the control store nobody is deposed, and who leads goes on")
  func withoutStore() {
    var scene = granting()
    scene.step(.answer(2, .watchEnded(isCompacted: false)))
    for _ in 0..<30 {
      scene.wait(.milliseconds(100))
      #expect(scene.transactions.isEmpty)
      for case .request(let number, .watch) in scene.effects {
        scene.step(.answer(number, .watchEnded(isCompacted: false)))
      }
    }
    var primary = serving()
    primary.step(.answer(2, .watchEnded(isCompacted: false)))
    for _ in 0..<50 {
      primary.wait(.milliseconds(100))
      primary.grant(from: 2)
      #expect(primary.machine.mayServe(primary.account, 1, at: primary.now))
    }
  }

  @Test("a hand-over names the successor in one compare-and-set; the old primary ends first")
  func handOver() {
    var scene = serving()
    scene.step(.handOver(scene.account, to: Scene.id(3)))
    #expect(scene.effects.contains(.finishEpoch(scene.account, 1, successor: Scene.id(3))))
    #expect(scene.machine.writableEpoch(scene.account) == nil)
    #expect(scene.machine.mayServe(scene.account, 1, at: scene.now))
    scene.step(.epochFinished(scene.account, 1))
    #expect(!scene.machine.mayServe(scene.account, 1, at: scene.now))
    #expect(scene.transactions.first?.entries.first?.record == scene.record(2, primary: 3))
  }

  @Test("a hand-over that certainly failed goes on; one that is unknown never does")
  func handOverFails() throws {
    var scene = serving()
    scene.step(.handOver(scene.account, to: Scene.id(3)))
    scene.step(.epochFinished(scene.account, 1))
    var unknown = scene
    let number = try #require(scene.transactions.first?.number)
    scene.step(.answer(number, .failed(isUnknown: false)))
    #expect(scene.machine.writableEpoch(scene.account) == 1)
    unknown.step(.answer(number, .failed(isUnknown: true)))
    #expect(unknown.machine.leadingEpoch(unknown.account) == nil)
    guard case .request(let get, .get)? = unknown.effects.first else {
      Issue.record("the record is not read again")
      return
    }
    unknown.step(.answer(get, .entry(OwnershipEntry(record: unknown.record(1, primary: 1), revision: 2))))
    #expect(unknown.transactions.first?.entries.first?.record == unknown.record(2, primary: nil))
  }

  @Test("a hand-over that failed does not go on when a voter has meanwhile adopted a newer epoch")
  func handOverOvertaken() throws {
    var scene = serving()
    scene.wait(.milliseconds(100))
    let beat = try #require(scene.beats(to: 2).last)
    scene.step(.handOver(scene.account, to: Scene.id(3)))
    scene.step(.epochFinished(scene.account, 1))
    let number = try #require(scene.transactions.first?.number)
    scene.hear(
      .reply(.init(life: 1, holderLife: 1, sequence: beat.sequence, isGranted: true, ended: [scene.claim(2)])), from: 2)
    scene.step(.answer(number, .failed(isUnknown: false)))
    #expect(scene.machine.servingEpoch(scene.account) == nil)
  }

  @Test("voters change by a new epoch in which both sets count until a record of it is committed")
  func changeOfVoters() throws {
    var scene = serving()
    let set = Scene.voters([1, 4, 5])
    // Newcomers that have told of nothing may have nothing.
    let place = LogPlace(epoch: 1, index: 1)
    for told in [[:], [Scene.id(4): place]] {
      scene.step(.acknowledged(scene.account, told))
      scene.step(.changeVoters(scene.account, set, learners: []))
      #expect(scene.transactions.isEmpty)
    }
    scene.step(.acknowledged(scene.account, [Scene.id(5): place]))
    scene.step(.changeVoters(scene.account, set, learners: []))
    let (number, entries) = try #require(scene.transactions.first)
    let record = try #require(entries.first?.record)
    #expect(record.epoch == 2 && record.primary == Scene.id(1))
    #expect(record.voterSet == set && record.previousSet == Scene.voters())
    #expect(!record.isWriteSet([Scene.id(1), Scene.id(4)]))
    #expect(record.isWriteSet([Scene.id(1), Scene.id(4), Scene.id(2)]))
    #expect(!record.mayPromote([Scene.id(4), Scene.id(5)]))
    scene.step(.answer(number, .transacted(succeeded: true, revision: 5)))
    scene.step(.fenced(scene.account, 2, LogPlace(epoch: 1, index: 1)))
    scene.step(.persisted(try #require(scene.persisted.last)))
    #expect(scene.leads.map(\.epoch) == [2])
    scene.step(.committed(scene.account, 2))
    #expect(scene.transactions.first?.entries.first?.record.previous == [])
  }

  @Test("shards of a dead node move together, and a refused transaction is split")
  func batches() throws {
    var configuration = OwnershipConfiguration()
    configuration.proposalsPerTransaction = 60
    var scene = Scene(configuration)
    let records = (1...100).map { number in
      var record = scene.record(1, primary: 2)
      record.account = AccountID(bits: UInt128(number))
      return record
    }
    scene.list(records)
    for record in records { scene.step(.fenced(record.account, 1, .start)) }
    scene.wait(.milliseconds(460))
    for record in records {
      scene.step(.persisted(OwnershipPromise(account: record.account, epoch: 1, floor: .start)))
    }
    scene.hear(.beat(.init(life: 1, sequence: 1)), from: 2)
    scene.step(.hint(.refused, about: Scene.id(2)))
    scene.wait(.milliseconds(300))
    #expect(scene.transactions.map(\.entries.count) == [60, 40])
    let number = try #require(scene.transactions.first?.number)
    scene.step(.answer(number, .transacted(succeeded: false, revision: 9)))
    #expect(scene.transactions.map(\.entries.count) == [30, 30])
  }

  @Test("a node whose log stands still sends no beats")
  func stalled() {
    var scene = serving()
    scene.step(.stalled(true))
    scene.wait(.milliseconds(500))
    #expect(scene.beats(to: 2).isEmpty)
    scene.step(.stalled(false))
    scene.wait(.milliseconds(200))
    #expect(!scene.beats(to: 2).isEmpty)
  }

  @Test("configurations that cannot work are refused with the reason")
  func configuration() {
    #expect(OwnershipConfiguration().problem == nil)
    var configuration = OwnershipConfiguration()
    configuration.lapse = .milliseconds(100)
    #expect(configuration.problem?.contains("given up") == true)
    configuration = OwnershipConfiguration()
    configuration.lease = .milliseconds(150)
    #expect(configuration.problem?.contains("two beats") == true)
  }
}
