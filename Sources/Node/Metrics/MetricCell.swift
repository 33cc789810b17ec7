// One series: its value, and for a histogram how many values fell below each bound.

import Threads

final class MetricCell: Sendable {
  struct Content: Sendable {
    var value = 0.0
    /// Not cumulative; one more than there are bounds.
    var buckets: [UInt64]
    var count: UInt64 = 0
  }
  private let content: Lock<Content>
  let bounds: [Double]

  init(bounds: [Double]) {
    self.bounds = bounds
    content = Lock(Content(buckets: [UInt64](repeating: 0, count: bounds.count + 1)))
  }

  var now: Content { content.with { $0 } }
  func add(_ amount: Double) { content.with { $0.value += amount } }
  func set(_ value: Double) { content.with { $0.value = value } }

  func observe(_ value: Double) {
    let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
    content.with { content in
      content.value += value
      content.count += 1
      content.buckets[bucket] += 1
    }
  }
}

package struct MetricCounter: Sendable {
  let cell: MetricCell
  package func increment(by amount: Int = 1) { cell.add(Double(max(amount, 0))) }
}

package struct MetricGauge: Sendable {
  let cell: MetricCell
  package func set(_ value: Double) { cell.set(value) }
  package func increment(by amount: Double = 1) { cell.add(amount) }
  package func decrement(by amount: Double = 1) { cell.add(-amount) }
}

package struct MetricHistogram: Sendable {
  let cell: MetricCell
  package func observe(_ value: Double) { cell.observe(value) }
  package func observe(_ duration: Duration) { cell.observe(duration / .seconds(1)) }

  /// For durations: from half a millisecond to half a minute.
  package static let seconds: [Double] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
  ]
  /// For sizes: from 256 B to 1 GiB.
  package static let bytes: [Double] = [256, 4096, 65_536, 1_048_576, 16_777_216, 268_435_456, 1_073_741_824]
  /// For anything else that is recorded.
  package static let plain: [Double] = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000, 100_000]
}
