// The node's metrics: counters, gauges and histograms by name and labels, and their text for Prometheus.
//
// It is a backend of swift-metrics, so that libraries count into it too. Labels never carry the name of an account or
// anything else a tenant chose; a family takes a bounded number of label sets, and what comes beyond is counted as
// dropped instead of filling the memory.

import Threads

package final class MetricsRegistry: Sendable {
  package static let seriesPerFamilyMax = 512
  static let droppedName = "komora_metrics_dropped_series_total"

  enum Kind: String, Sendable { case counter, gauge, histogram }

  struct Family: Sendable {
    var kind: Kind
    var help: String
    /// Upper bounds, ascending, without infinity; empty unless it is a histogram.
    var bounds: [Double]
    var series: [MetricLabels: MetricCell] = [:]
  }

  private struct State {
    var families: [String: Family] = [:]
    var help: [String: String] = [:]
    var dropped: UInt64 = 0
  }
  private let state = Lock(State())

  package init() {}

  /// A number that only grows. `name` should end in `_total`; it is added where it is missing.
  package func counter(_ name: String, _ labels: [(String, String)] = []) -> MetricCounter {
    let name = MetricNames.metric(name)
    return MetricCounter(cell: cell(name.hasSuffix("_total") ? name : name + "_total", .counter, labels, []))
  }

  /// A number that rises and falls.
  package func gauge(_ name: String, _ labels: [(String, String)] = []) -> MetricGauge {
    MetricGauge(cell: cell(MetricNames.metric(name), .gauge, labels, []))
  }

  /// How values are spread over `bounds`, which the first caller of a name decides.
  package func histogram(
    _ name: String, _ labels: [(String, String)] = [], bounds: [Double] = MetricHistogram.seconds
  ) -> MetricHistogram {
    MetricHistogram(cell: cell(MetricNames.metric(name), .histogram, labels, bounds))
  }

  /// What the text says about a family.
  package func describe(_ name: String, _ help: String) {
    let name = MetricNames.metric(name)
    state.with { state in
      state.help[name] = help
      state.families[name]?.help = help
    }
  }

  package func render(openMetrics: Bool = false) -> String {
    var (families, dropped) = state.with { ($0.families, $0.dropped) }
    let cell = MetricCell(bounds: [])
    cell.add(Double(dropped))
    families[Self.droppedName] = Family(
      kind: .counter, help: "Label sets refused because their family was full", bounds: [],
      series: [MetricLabels([]): cell])
    return PrometheusText.render(families, openMetrics: openMetrics)
  }

  private func cell(_ name: String, _ kind: Kind, _ labels: [(String, String)], _ bounds: [Double]) -> MetricCell {
    let labels = MetricLabels(labels)
    return state.with { state in
      let found = state.families[name]
      var family = found ?? Family(kind: kind, help: state.help[name] ?? "", bounds: bounds)
      if family.kind == kind, let cell = family.series[labels] { return cell }
      let cell = MetricCell(bounds: family.bounds)
      // One name has one kind. A caller that thinks otherwise counts into a cell that nobody sees.
      guard family.kind == kind, family.series.count < Self.seriesPerFamilyMax else {
        state.dropped += 1
        return cell
      }
      family.series[labels] = cell
      state.families[name] = family
      return cell
    }
  }
}
