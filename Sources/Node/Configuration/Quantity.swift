// Durations, sizes and times of day as people write them: "500ms", "64MiB", "02:30".
//
// A number without its unit is refused, and so is the unit of another kind: a limit that is a thousand times too large
// shows only on the day it is needed.

package enum Quantity {
  /// Nanoseconds in one of each.
  private static let durationUnits: [(name: String, nanoseconds: Int64)] = [
    ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("min", 60_000_000_000), ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
  ]
  private static let sizeUnits: [(name: String, bytes: Int)] = [
    ("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("kB", 1_000), ("MB", 1_000_000),
    ("GB", 1_000_000_000), ("TB", 1_000_000_000_000),
  ]

  static let durationExamples = "\"500ms\", \"30s\", \"5min\", \"24h\" or \"7d\""
  static let sizeExamples = "\"512KiB\", \"64MiB\" or \"10GiB\""

  /// A whole number and a unit: us, ms, s, min, h, d. Nil for anything else, also when it does not fit.
  package static func duration(_ text: String) -> Duration? {
    guard let (number, unit) = split(text), let factor = durationUnits.first(where: { $0.name == unit }) else {
      return nil
    }
    let (nanoseconds, overflow) = Int64(number).multipliedReportingOverflow(by: factor.nanoseconds)
    return overflow ? nil : .nanoseconds(nanoseconds)
  }

  /// A whole number and a unit: B, KiB, MiB, GiB, TiB, or the decimal kB, MB, GB, TB.
  package static func size(_ text: String) -> Int? {
    guard let (number, unit) = split(text), let factor = sizeUnits.first(where: { $0.name == unit }) else {
      return nil
    }
    let (bytes, overflow) = number.multipliedReportingOverflow(by: factor.bytes)
    return overflow ? nil : bytes
  }

  /// Minutes after midnight of "HH:MM", up to "24:00".
  package static func timeOfDay(_ text: String) -> Int? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 && $0.utf8.allSatisfy { (48...57).contains($0) } }),
      let hours = Int(parts[0]), let minutes = Int(parts[1]), minutes < 60, hours * 60 + minutes <= 1440
    else { return nil }
    return hours * 60 + minutes
  }

  private static func split(_ text: String) -> (Int, String)? {
    let digits = text.prefix { $0.isASCII && $0.isNumber }
    guard !digits.isEmpty, let number = Int(digits) else { return nil }
    let unit = text.dropFirst(digits.count)
    return (number, String(unit.first == " " ? unit.dropFirst() : unit))
  }
}
