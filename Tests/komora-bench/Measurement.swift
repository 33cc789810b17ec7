// Latencies of one run and what they come to.

import Glibc

struct Measurement: Sendable {
  var seconds: Double
  /// Milliseconds each.
  var latencies: [Double]
  /// Of the whole process, user and system.
  var cpuSeconds: Double

  var cpuMicrosecondsPerCommit: Double { cpuSeconds * 1e6 / Double(max(latencies.count, 1)) }

  var perSecond: Double { Double(latencies.count) / seconds }

  func percentile(_ p: Double) -> Double {
    guard !latencies.isEmpty else { return 0 }
    let sorted = latencies.sorted()
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * p))]
  }
}

func monotonicSeconds() -> Double {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return Double(now.tv_sec) + Double(now.tv_nsec) * 1e-9
}

func cpuSecondsSoFar() -> Double {
  var usage = rusage()
  getrusage(Int32(RUSAGE_SELF.rawValue), &usage)
  return Double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec)
    + Double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6
}

func median(_ values: [Double]) -> Double {
  let sorted = values.sorted()
  guard !sorted.isEmpty else { return 0 }
  let middle = sorted.count / 2
  return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

func fixed(_ value: Double, _ digits: Int = 2) -> String {
  var text = [CChar](repeating: 0, count: 64)
  _ = withVaList([value]) { vsnprintf(&text, text.count, "%.\(digits)f", $0) }
  return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
