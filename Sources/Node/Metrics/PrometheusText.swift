// The text of metrics: Prometheus' exposition format 0.0.4, or OpenMetrics 1.0.
//
// The two differ in little: OpenMetrics names a counter's family without `_total`, escapes quotes in help texts, and
// ends with `# EOF`. Families and series are sorted, so that two renderings can be compared.

enum PrometheusText {
  static let contentType = "text/plain; version=0.0.4; charset=utf-8"
  static let openMetricsContentType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

  static func render(_ families: [String: MetricsRegistry.Family], openMetrics: Bool) -> String {
    var text = ""
    for (name, family) in families.sorted(by: { $0.key < $1.key }) where !family.series.isEmpty {
      let title = openMetrics && family.kind == .counter ? String(name.dropLast("_total".count)) : name
      if !family.help.isEmpty { text += "# HELP \(title) \(help(family.help, openMetrics))\n" }
      text += "# TYPE \(title) \(family.kind.rawValue)\n"
      let series = family.series.map { (labels: $0.key, sort: $0.key.text(), cell: $0.value) }
      for one in series.sorted(by: { $0.sort < $1.sort }) { text += lines(name, family, one.labels, one.cell) }
    }
    return openMetrics ? text + "# EOF\n" : text
  }

  private static func lines(
    _ name: String, _ family: MetricsRegistry.Family, _ labels: MetricLabels, _ cell: MetricCell
  ) -> String {
    let now = cell.now
    guard family.kind == .histogram else { return "\(name)\(labels.text()) \(number(now.value))\n" }
    var text = ""
    var sum: UInt64 = 0
    for (bound, count) in zip(family.bounds + [.infinity], now.buckets) {
      sum += count
      text += "\(name)_bucket\(labels.text(("le", number(bound)))) \(sum)\n"
    }
    return text + "\(name)_sum\(labels.text()) \(number(now.value))\n\(name)_count\(labels.text()) \(now.count)\n"
  }

  private static func help(_ text: String, _ openMetrics: Bool) -> String {
    var escaped = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where openMetrics: escaped += "\\\""
      default: escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped
  }

  static func number(_ value: Double) -> String {
    if value == .infinity { return "+Inf" }
    if value == -.infinity { return "-Inf" }
    if value.isNaN { return "NaN" }
    // Whole numbers without an exponent, as far as a Double holds them exactly.
    return value == value.rounded() && abs(value) < 9_007_199_254_740_992 ? String(Int64(value)) : "\(value)"
  }
}

extension MetricsRegistry {
  package static func contentType(openMetrics: Bool) -> String {
    openMetrics ? PrometheusText.openMetricsContentType : PrometheusText.contentType
  }
}
