// How far a long piece of work has come, as a fraction, told to whoever asked to hear it.

import Threads

package final class ProgressMeter: Sendable {
  private let done = Lock(0.0)
  private let total: Double
  private let report: @Sendable (Double) -> Void

  /// `total` in any unit; `advance` uses the same.
  package init(total: Double, _ report: @escaping @Sendable (Double) -> Void) {
    self.total = max(total, 1)
    self.report = report
  }

  package func advance(_ amount: Int) {
    report(
      done.with { done in
        done = min(done + Double(amount), total)
        return done / total
      })
  }
}
