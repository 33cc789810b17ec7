// The text of metrics is what Prometheus and OpenMetrics define, whatever names and values go in.

import CoreMetrics
import Node
import Testing

@Suite("metrics")
struct MetricsTests {
  @Test("counters, gauges and histograms as text")
  func text() {
    let registry = MetricsRegistry()
    registry.describe("komora_requests_total", "Requests\nby \\ kind")
    registry.counter("komora_requests_total", [("surface", "sql")]).increment(by: 3)
    registry.gauge("komora_open").set(2.5)
    let histogram = registry.histogram("komora_seconds", bounds: [0.1, 1])
    for value in [0.05, 0.1, 0.5, 7] { histogram.observe(value) }
    let expected = """
      # TYPE komora_metrics_dropped_series_total counter
      komora_metrics_dropped_series_total 0
      # TYPE komora_open gauge
      komora_open 2.5
      # HELP komora_requests_total Requests\\nby \\\\ kind
      # TYPE komora_requests_total counter
      komora_requests_total{surface="sql"} 3
      # TYPE komora_seconds histogram
      komora_seconds_bucket{le="0.1"} 2
      komora_seconds_bucket{le="1"} 3
      komora_seconds_bucket{le="+Inf"} 4
      komora_seconds_sum 7.65
      komora_seconds_count 4

      """
    let lines = registry.render().split(separator: "\n").filter { !$0.contains("Label sets") }
    #expect(lines.joined(separator: "\n") + "\n" == expected)
  }

  @Test("OpenMetrics names a counter's family without its suffix and ends with EOF")
  func openMetrics() {
    let registry = MetricsRegistry()
    registry.counter("komora_requests").increment()
    let text = registry.render(openMetrics: true)
    #expect(text.contains("# TYPE komora_requests counter\nkomora_requests_total 1\n"))
    #expect(text.hasSuffix("# EOF\n"))
  }

  @Test("every line fits the grammar, whatever names and values were given")
  func grammar() throws {
    let registry = MetricsRegistry()
    let hostile = ["", "7up", "a b", "ключ", "x\"y", "back\\slash", "new\nline", "__reserved", "ok_name", "a:b"]
    for (i, name) in hostile.enumerated() {
      registry.counter(name, [(name, name), ("n", "\(i)")]).increment()
      registry.gauge("g" + name, [(name, name)]).set(.infinity)
      registry.histogram("h" + name, [(name, name)]).observe(.nan)
    }
    let label = #"[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*""#
    let number = #"([0-9.e+-]+|\+Inf|-Inf|NaN)"#
    let sample = try Regex(#"[a-zA-Z_:][a-zA-Z0-9_:]*(\{"# + label + "(," + label + #")*\})? "# + number)
    let comment = try Regex(
      #"# (TYPE [a-zA-Z_:][a-zA-Z0-9_:]* (counter|gauge|histogram)|HELP [a-zA-Z_:][a-zA-Z0-9_:]* .*)"#)
    let lines = registry.render().split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    #expect(lines.count > 60)
    for line in lines {
      #expect(try sample.wholeMatch(in: line) != nil || comment.wholeMatch(in: line) != nil, "\(line)")
    }
  }

  @Test("a family that is full counts what it refuses")
  func bounded() {
    let registry = MetricsRegistry()
    for i in 0..<(MetricsRegistry.seriesPerFamilyMax + 5) { registry.gauge("g", [("i", "\(i)")]).set(1) }
    let text = registry.render()
    #expect(text.contains("komora_metrics_dropped_series_total 5\n"))
    #expect(text.split(separator: "\n").count { $0.hasPrefix("g{") } == MetricsRegistry.seriesPerFamilyMax)
  }

  @Test("libraries count through swift-metrics")
  func factory() {
    let registry = MetricsRegistry()
    let factory = RegistryMetricsFactory(registry)
    factory.makeCounter(label: "hb.requests", dimensions: [("status", "200")]).increment(by: 2)
    factory.makeTimer(label: "hb.duration", dimensions: []).recordNanoseconds(2_000_000)
    factory.makeMeter(label: "active", dimensions: []).increment(by: 4)
    factory.makeRecorder(label: "last", dimensions: [], aggregate: false).record(9.5)
    let text = registry.render()
    #expect(text.contains("hb_requests_total{status=\"200\"} 2\n"))
    #expect(text.contains("hb_duration_seconds_sum 0.002\n"))
    #expect(text.contains("active 4\n"))
    #expect(text.contains("last 9.5\n"))
  }
}
