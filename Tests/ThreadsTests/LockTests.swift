// Waiting under a lock: until a state is reached, or until the time is up.

import Testing
import Threads

struct LockTests {
  @Test("a wait gives nil when its time is up, and not before")
  func timeout() {
    let lock = Lock(0)
    let clock = ContinuousClock()
    for milliseconds in [0, 1, 20, 1001] {
      let timeout = Duration.milliseconds(milliseconds)
      let start = clock.now
      #expect(lock.wait(for: timeout, until: { $0 == 1 }, { $0 }) == nil)
      #expect(clock.now - start >= timeout)
    }
  }

  @Test("a wait for what is already there returns at once")
  func ready() {
    let lock = Lock(5)
    #expect(lock.wait(for: .zero, until: { $0 == 5 }, { $0 + 1 }) == 6)
    #expect(lock.wait(until: { $0 == 5 }, { $0 }) == 5)
  }

  @Test("waiters on several threads each see the state that they wait for")
  func handOver() {
    let turn = Lock(0)
    let threads = (0..<4).map { me in
      Thread(name: "turn-\(me)") {
        for round in 0..<500 {
          turn.wait(until: { $0 == round * 4 + me }, { $0 += 1 })
          turn.wake()
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(turn.with { $0 } == 2000)
  }

  @Test("a counter under the lock misses no increment")
  func exclusion() {
    let counter = Lock(0)
    let threads = (0..<4).map { i in
      Thread(name: "count-\(i)") { for _ in 0..<25_000 { counter.with { $0 += 1 } } }
    }
    for thread in threads { thread.join() }
    #expect(counter.with { $0 } == 100_000)
  }

  @Test("an error thrown under the lock leaves it free")
  func errors() {
    struct Refused: Error {}
    let lock = Lock(1)
    #expect(throws: Refused.self) { try lock.with { (_) throws(Refused) in throw Refused() } }
    #expect(lock.with { $0 } == 1)
  }
}
