// Lets swift-metrics count into the registry: what libraries below us measure shows beside our own figures.
//
// Timers are histograms in seconds. A destroyed handler keeps its series: a counter that vanished and came back at zero
// would look like a restart.

package import CoreMetrics

package struct RegistryMetricsFactory: MetricsFactory {
  private let registry: MetricsRegistry

  package init(_ registry: MetricsRegistry) { self.registry = registry }

  package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    Counter(cell: registry.counter(label, dimensions).cell)
  }
  package func makeFloatingPointCounter(
    label: String, dimensions: [(String, String)]
  ) -> any FloatingPointCounterHandler {
    FloatingPointCounter(cell: registry.counter(label, dimensions).cell)
  }
  package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    Meter(cell: registry.gauge(label, dimensions).cell)
  }
  package func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    aggregate
      ? Recorder(histogram: registry.histogram(label, dimensions, bounds: MetricHistogram.plain), gauge: nil)
      : Recorder(histogram: nil, gauge: registry.gauge(label, dimensions))
  }
  package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    let name = label.hasSuffix("seconds") ? label : label + "_seconds"
    return Timer(histogram: registry.histogram(name, dimensions))
  }

  package func destroyCounter(_: any CounterHandler) {}
  package func destroyFloatingPointCounter(_: any FloatingPointCounterHandler) {}
  package func destroyMeter(_: any MeterHandler) {}
  package func destroyRecorder(_: any RecorderHandler) {}
  package func destroyTimer(_: any TimerHandler) {}

  private final class Counter: CounterHandler {
    let cell: MetricCell
    init(cell: MetricCell) { self.cell = cell }
    func increment(by amount: Int64) { cell.add(Double(max(amount, 0))) }
    func reset() { cell.set(0) }
  }
  private final class FloatingPointCounter: FloatingPointCounterHandler {
    let cell: MetricCell
    init(cell: MetricCell) { self.cell = cell }
    func increment(by amount: Double) { cell.add(max(amount, 0)) }
    func reset() { cell.set(0) }
  }
  private final class Meter: MeterHandler {
    let cell: MetricCell
    init(cell: MetricCell) { self.cell = cell }
    func set(_ value: Int64) { cell.set(Double(value)) }
    func set(_ value: Double) { cell.set(value) }
    func increment(by amount: Double) { cell.add(amount) }
    func decrement(by amount: Double) { cell.add(-amount) }
  }
  private final class Recorder: RecorderHandler {
    let histogram: MetricHistogram?
    let gauge: MetricGauge?
    init(histogram: MetricHistogram?, gauge: MetricGauge?) {
      self.histogram = histogram
      self.gauge = gauge
    }
    func record(_ value: Int64) { record(Double(value)) }
    func record(_ value: Double) {
      histogram?.observe(value)
      gauge?.set(value)
    }
  }
  private final class Timer: TimerHandler {
    let histogram: MetricHistogram
    init(histogram: MetricHistogram) { self.histogram = histogram }
    func recordNanoseconds(_ duration: Int64) { histogram.observe(Double(duration) / 1_000_000_000) }
  }
}
