// Committed time under honest, drifting and hostile clocks.

import Base
import Control
import Testing

@Suite("Committed time")
struct CommittedTimeTests {
  private let hostile: [UnixMicroseconds] = [.min, .min + 1, -1, 0, 1, .max - 1, .max]

  @Test("follows the median, not an outlier, and of two in the middle the earlier")
  func median() {
    let second = Interval.seconds(1)
    #expect(CommittedTime.next(previous: 1000, elapsed: second, clocks: [2000, 3000, .max]) == 3000)
    #expect(CommittedTime.next(previous: 1000, elapsed: second, clocks: [2000, 3000]) == 2000)
    #expect(CommittedTime.next(previous: 1000, elapsed: second, clocks: []) == 1000)
    #expect(CommittedTime.next(previous: 1000, elapsed: second, clocks: [.max, .max, .max]) == 1000 + 1_100_000)
    #expect(CommittedTime.first(clocks: [.max, 5, .min]) == 5 && CommittedTime.first(clocks: []) == nil)
  }

  @Test("never back, never faster than 1.1 times what has passed, whatever the clocks say")
  func bounds() {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<5000 {
      let previous = random.oneIn(10) ? hostile[random.below(7)] : Int64(random.below(1 << 50))
      let elapsed = Interval(nanoseconds: random.oneIn(10) ? .min : Int64(random.below(1 << 45)))
      let clocks = (0..<random.below(8)).map { _ in
        random.oneIn(2) ? hostile[random.below(7)] : Int64(random.below(1 << 50))
      }
      let next = CommittedTime.next(previous: previous, elapsed: elapsed, clocks: clocks)
      #expect(next >= previous)
      let passed = max(0, elapsed.nanoseconds) / 1000
      #expect(next.subtractingReportingOverflow(previous).partialValue <= passed + passed / 10)
      #expect(CommittedTime.next(previous: previous, elapsed: elapsed, clocks: clocks.reversed()) == next)
    }
  }

  @Test("with a minority of liars it stays within what the honest clocks say, hour after hour")
  func minority() {
    for seed in 1...100 {
      var random = SeededGenerator(seed: UInt64(seed))
      let honestCount = 2 + random.below(3)
      let liarsCount = random.below(honestCount)
      let start: Int64 = 1_700_000_000_000_000
      var truth = start
      var time = start
      // Honest clocks are up to a second wrong, and stay so.
      let errors = (0..<honestCount).map { _ in Int64(random.below(2_000_000)) - 1_000_000 }
      for _ in 0..<100 {
        let step = 1 + random.below(600)
        truth += Int64(step) * 1_000_000
        var clocks = errors.map { truth + $0 }
        for _ in 0..<liarsCount {
          clocks.append(random.oneIn(3) ? Int64(bitPattern: random.next()) : hostile[random.below(7)])
        }
        time = CommittedTime.next(
          previous: time, elapsed: .seconds(step), clocks: clocks.shuffled(using: &random))
        #expect(abs(time - truth) <= 1_000_000)
      }
    }
  }
}
