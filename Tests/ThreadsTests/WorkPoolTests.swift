// A pool runs every job that it took, loses no wake-up, and ends cleanly.

import Testing
import Threads

struct WorkPoolTests {
  @Test("every one of 100,000 tiny jobs from several threads runs", arguments: [1, 2, 4])
  func noLostWakeUp(threads: Int) {
    let pool = WorkPool(name: "test", threads: threads)
    let done = Lock(0)
    let total = 100_000
    let producers = (0..<4).map { p in
      Thread(name: "producer-\(p)") {
        let mine = Lock(0)
        for i in 1...(total / 4) {
          pool.run {
            mine.with { $0 += 1 }
            mine.wake()
            done.with { $0 += 1 }
            done.wake()
          }
          // Lets the pool run empty again and again: only a sleeping thread can miss its wake-up.
          if i % 64 == 0, mine.wait(for: .seconds(10), until: { $0 == i }, { _ in true }) == nil { return }
        }
      }
    }
    for producer in producers { producer.join() }
    let finished = done.wait(for: .seconds(10), until: { $0 == total }, { $0 })
    #expect(finished == total)
    pool.stop()
  }

  @Test("a job sent to sleeping threads is always picked up: 20,000 times to and fro")
  func pingPong() {
    let pool = WorkPool(name: "test", threads: 3)
    let turns = Lock(0)
    for i in 1...20_000 {
      pool.run {
        turns.with { $0 += 1 }
        turns.wake()
      }
      guard turns.wait(for: .seconds(30), until: { $0 == i }, { _ in true }) != nil else {
        Issue.record("job \(i) was never run")
        break
      }
    }
    pool.stop()
  }

  @Test("stop runs what is queued, then refuses")
  func stopDrains() {
    let pool = WorkPool(name: "test", threads: 1)
    let gate = Lock(false)
    let order = Lock([Int]())
    pool.run { gate.wait(until: { $0 }, { _ in }) }
    for i in 0..<5000 { pool.run { order.with { $0.append(i) } } }
    gate.with { $0 = true }
    gate.wake()
    pool.stop()
    #expect(order.with { $0 } == Array(0..<5000))
    #expect(pool.run {} == false)
  }

  @Test("what a job held is gone when it has run, however many wait behind it")
  func letsGo() {
    final class Load: Sendable {}
    let pool = WorkPool(name: "test", threads: 1)
    let gate = Lock((ran: false, open: false))
    weak var held: Load?
    do {
      let load = Load()
      held = load
      pool.run { withExtendedLifetime(load) {} }
    }
    pool.run {
      gate.with { $0.ran = true }
      gate.wake()
      gate.wait(until: { $0.open }, { _ in })
    }
    pool.run {}
    gate.wait(until: { $0.ran }, { _ in })
    #expect(held == nil)
    gate.with { $0.open = true }
    gate.wake()
    pool.stop()
  }

  @Test("perform gives what its body gives or throws, and refuses after stop")
  func perform() async throws {
    struct Refused: Error {}
    let pool = WorkPool(name: "test", threads: 2)
    let values = try await withThrowingTaskGroup(of: Int.self) { group in
      for i in 0..<200 { group.addTask { try await pool.perform { i * 2 } } }
      return try await group.reduce(0, +)
    }
    #expect(values == 199 * 200)
    await #expect(throws: Refused.self) { try await pool.perform { throw Refused() } }
    pool.stop()
    await #expect(throws: WorkPoolStopped.self) { try await pool.perform { 1 } }
  }
}
