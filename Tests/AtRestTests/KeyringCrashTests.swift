// A keyring on a disk that forgets: what was promised is there after any crash, at every operation and in many orders.

import AtRest
import Base
import Disk
import OpenSSL
import Simulator
import Testing

struct KeyringCrashTests {
  /// What a keyring has promised. A key that is neither promised nor refused may be there or not.
  private struct Model {
    var promised: [RecordingID: [UInt8]] = [:]
    var added: [RecordingID: [UInt8]] = [:]
    var destroyed: Set<RecordingID> = []
    var doubtful: Set<RecordingID> = []
    var kek: UInt8 = 1
    var perhaps: UInt8?
  }

  private func step(_ ring: Keyring, _ model: inout Model, _ random: inout SeededGenerator, _ next: inout Int) throws {
    switch random.below(10) {
    case 0..<5:
      next += 1
      model.added[recording(next)] = try ring.addRecordingKey(recording(next)).copy
    case 5..<8:
      try random.oneIn(3) ? ring.settle() : ring.sync()
      model.promised.merge(model.added) { $1 }
    case 8:
      let ids = model.added.keys.sorted().filter { _ in random.oneIn(4) }
      model.doubtful.formUnion(ids)
      try ring.destroyRecordingKeys(ids)
      model.destroyed.formUnion(ids)
      for id in ids { (model.promised[id], model.added[id]) = (nil, nil) }
      if !ids.isEmpty { model.promised.merge(model.added) { $1 } }
    default:
      let kek = UInt8(1 + random.below(3))
      model.perhaps = kek
      try ring.rewrap(to: TestKeyEncryption(kek))
      (model.kek, model.perhaps) = (kek, nil)
      model.promised.merge(model.added) { $1 }
    }
  }

  private func opened(_ disk: ForgetfulDisk, _ model: inout Model) throws -> Keyring {
    func open(_ kek: UInt8) throws -> Keyring {
      try Keyring.open(disk: disk, path: "/a/keyring", account: account, kek: TestKeyEncryption(kek))
    }
    // A rewrap that did not return may have happened.
    if let perhaps = model.perhaps, code({ _ = try open(model.kek) }) == .wrongKey { model.kek = perhaps }
    return try open(model.kek)
  }

  private func check(_ disk: ForgetfulDisk, _ model: inout Model, _ note: String) throws -> Keyring {
    let ring = try opened(disk, &model)
    for (id, key) in model.promised {
      let got = try ring.recordingKey(id)?.copy
      #expect(got == key || got == nil && model.doubtful.contains(id), "\(note): \(id)")
    }
    for id in model.destroyed { #expect(try ring.recordingKey(id) == nil, "\(note): \(id) came back") }
    // A key whose adding failed may be there all the same; nobody knows it.
    for id in ring.recordingIDs() {
      let key = try ring.recordingKey(id)?.copy
      #expect(key != nil && (model.added[id] == nil || model.added[id] == key), "\(note): \(id)")
    }
    model.added = model.added.filter { ring.hasRecordingKey($0.key) }
    model.promised = model.promised.filter { ring.hasRecordingKey($0.key) }
    model.doubtful = []
    model.perhaps = nil
    return ring
  }

  @Test("what was synced, destroyed or rewrapped stays so through crashes, kills, torn writes and flips")
  func storms() throws {
    var crashes = 0
    var counts = FaultCounts()
    for seed in 0..<200 as Range<UInt64> {
      var random = SeededGenerator(seed: seed)
      var disk = try preparedDisk(seed: seed)
      disk.flipsPerCrash = random.below(2)
      var model = Model()
      var next = 0
      var ring = try Keyring.create(disk: disk, path: "/a/keyring", account: account, kek: TestKeyEncryption())
      for _ in 0..<4 {
        let target = disk.operations + 1 + random.below(30)
        let moment = DiskFault.Moment.allCases[random.below(3)]
        disk.onOperation { $0.index == target && $0.kind.changes ? .stop(moment) : .proceed }
        do {
          for _ in 0..<(5 + random.below(40)) { try step(ring, &model, &random, &next) }
        } catch let error as AtRestError {
          #expect(error.code == .io || error.code == .closed, "seed \(seed): \(error)")
        }
        disk = random.oneIn(4) ? disk.kill() : disk.crash()
        crashes += 1
        ring = try check(disk, &model, "seed \(seed)")
      }
      counts = counts + disk.counts
    }
    #expect(crashes == 800)
    #expect(counts.lostWrites > 100 && counts.tornWrites > 20 && counts.flips > 50, "\(counts)")
  }

  @Test("a failure of any single operation loses nothing and leaves a keyring that opens", arguments: [1, 2, 3])
  func everyFailure(story: UInt64) throws {
    var nth = 1
    while true {
      let disk = try preparedDisk(seed: story)
      let ring = try Keyring.create(disk: disk, path: "/a/keyring", account: account, kek: TestKeyEncryption())
      let plan = FaultPlan(
        .fail(.io), at: nth, of: [.write, .sync, .truncate, .create, .rename, .syncDirectory, .remove])
      disk.onOperation(plan.decide)
      var model = Model()
      var random = SeededGenerator(seed: story)
      var next = 0
      for _ in 0..<30 {
        do { try step(ring, &model, &random, &next) } catch let error as AtRestError {
          #expect(error.code == .io || error.code == .closed, "operation \(nth): \(error)")
        }
      }
      _ = try check(random.oneIn(2) ? disk.kill() : disk.crash(), &model, "operation \(nth)")
      if !plan.fired { break }
      nth += 1
    }
    #expect(nth > 20)
  }
}
