// Syncs that threads share: nobody returns before a sync that began after their write.

import Testing
import Threads

private struct Broken: Error {}

@Suite struct SharedSyncTests {
  @Test("what a thread wrote is durable when its call returns, and threads share syncs")
  func covers() {
    struct Disk {
      var written = 0
      var durable = 0
      var syncs = 0
    }
    let disk = Lock(Disk())
    let shared = SharedSync<Broken>()
    let missed = Lock(0)
    let threads = (0..<8).map { number in
      Thread(name: "writer-\(number)") {
        for _ in 0..<400 {
          let mine = disk.with { disk in
            disk.written += 1
            return disk.written
          }
          try? shared.run { () throws(Broken) in
            let begun = disk.with { $0.written }
            // What comes from here on is not covered.
            for _ in 0..<200 { _ = disk.with { $0.durable } }
            disk.with { disk in
              disk.durable = begun
              disk.syncs += 1
            }
          }
          if disk.with({ $0.durable < mine }) { missed.with { $0 += 1 } }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(missed.with { $0 } == 0)
    #expect(disk.with { $0.durable == 3200 && $0.syncs <= 3200 })
  }

  @Test("those who come while a sync runs share the next one")
  func shares() {
    let shared = SharedSync<Broken>()
    let syncs = Lock(0)
    let release = Lock(false)
    let waiting = Lock(0)
    let first = Thread(name: "first") {
      try? shared.run { () throws(Broken) in
        syncs.with { $0 += 1 }
        release.wait(until: { $0 }, { _ in })
      }
    }
    while syncs.with({ $0 }) == 0 { syncs.wait(for: .milliseconds(1), until: { $0 == 1 }, { _ in }) }
    let others = (0..<10).map { number in
      Thread(name: "other-\(number)") {
        waiting.with { $0 += 1 }
        try? shared.run { () throws(Broken) in syncs.with { $0 += 1 } }
      }
    }
    while waiting.with({ $0 }) < 10 { waiting.wait(for: .milliseconds(1), until: { $0 == 10 }, { _ in }) }
    #expect(syncs.with { $0 } == 1)
    release.with { $0 = true }
    release.wake()
    for thread in [first] + others { thread.join() }
    // A thread that was counted but had not yet asked may need one more of its own.
    #expect((2...11).contains(syncs.with { $0 }))
  }

  @Test("after a failed sync every call fails, whether the disk has recovered or not")
  func failure() {
    let shared = SharedSync<Broken>()
    #expect(throws: Broken.self) { try shared.run { () throws(Broken) in throw Broken() } }
    let ran = Lock(false)
    #expect(throws: Broken.self) { try shared.run { () throws(Broken) in ran.with { $0 = true } } }
    #expect(!ran.with { $0 })
  }
}
