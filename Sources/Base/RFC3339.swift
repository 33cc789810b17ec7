// Moments as text, exact to the microsecond: `2026-11-22T19:44:33.123456Z`.
//
// Records are told apart by microseconds, so what is printed as the nearest moment must be what is read back. The
// proleptic Gregorian calendar, years 1 to 9999; a leap second reads as the first second of the next minute.

public enum RFC3339 {
  private static let daySeconds: Int64 = 86_400

  /// With as many digits of the second's fraction as it takes: none, or six. UTC.
  public static func text(_ moment: UnixMicroseconds) -> String {
    let micros = moment - 1_000_000 * floored(moment, 1_000_000)
    let seconds = floored(moment, 1_000_000)
    let day = floored(seconds, daySeconds)
    let rest = seconds - day * daySeconds
    let (year, month, date) = civil(fromDays: day)
    let fraction = micros == 0 ? "" : "." + padded(micros, 6)
    return "\(padded(year, 4))-\(padded(month, 2))-\(padded(date, 2))T\(padded(rest / 3600, 2)):"
      + "\(padded(rest / 60 % 60, 2)):\(padded(rest % 60, 2))\(fraction)Z"
  }

  /// Reads a date and time with an offset (`Z`, `+02:00`); digits behind the microseconds are dropped. Nil for anything
  /// else.
  public static func moment(_ text: String) -> UnixMicroseconds? {
    var scanner = Scanner(bytes: Array(text.utf8))
    guard let year = scanner.number(4), year >= 1, scanner.take("-"), let month = scanner.number(2), scanner.take("-"),
      let date = scanner.number(2), scanner.take("Tt "), let hour = scanner.number(2), scanner.take(":"),
      let minute = scanner.number(2), scanner.take(":"), let second = scanner.number(2),
      (1...12).contains(month), date >= 1, date <= days(in: month, of: year), hour < 24, minute < 60, second <= 60,
      let micros = scanner.fraction(), let offset = scanner.offset(), scanner.isAtEnd
    else { return nil }
    let seconds = days(fromCivil: year, month, date) * daySeconds + hour * 3600 + minute * 60 + second - offset
    return seconds * 1_000_000 + micros
  }

  private struct Scanner {
    let bytes: [UInt8]
    var at = 0
    var isAtEnd: Bool { at == bytes.count }

    mutating func take(_ any: String) -> Bool {
      guard at < bytes.count, any.utf8.contains(bytes[at]) else { return false }
      at += 1
      return true
    }

    private mutating func digit() -> Int64? {
      guard at < bytes.count, (0x30...0x39).contains(bytes[at]) else { return nil }
      defer { at += 1 }
      return Int64(bytes[at] - 0x30)
    }

    mutating func number(_ digits: Int) -> Int64? {
      var value: Int64 = 0
      for _ in 0..<digits {
        guard let next = digit() else { return nil }
        value = value * 10 + next
      }
      return value
    }

    /// Microseconds; 0 where there is no fraction, nil where a point stands alone.
    mutating func fraction() -> Int64? {
      guard take(".") else { return 0 }
      guard var value = digit() else { return nil }
      var count = 1
      while let next = digit() {
        if count < 6 { value = value * 10 + next }
        count += 1
      }
      for _ in count..<max(count, 6) { value *= 10 }
      return value
    }

    /// Seconds east of UTC.
    mutating func offset() -> Int64? {
      if take("Zz") { return 0 }
      let isEast = take("+")
      guard isEast || take("-"), let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60
      else { return nil }
      return (isEast ? 1 : -1) * (hours * 3600 + minutes * 60)
    }
  }

  private static func padded(_ value: Int64, _ digits: Int) -> String {
    let text = String(value)
    return String(repeating: "0", count: max(0, digits - text.count)) + text
  }

  private static func floored(_ value: Int64, _ by: Int64) -> Int64 {
    value / by - (value % by < 0 ? 1 : 0)
  }

  private static func days(in month: Int64, of year: Int64) -> Int64 {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
  }

  // Days since 1970-01-01 and back, in eras of 400 years that begin in March (H. Hinnant, "chrono-compatible low-level
  // date algorithms").
  private static func days(fromCivil year: Int64, _ month: Int64, _ date: Int64) -> Int64 {
    let year = month <= 2 ? year - 1 : year
    let era = floored(year, 400)
    let ofEra = year - era * 400
    let ofYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + date - 1
    return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
  }

  private static func civil(fromDays days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468
    let era = floored(shifted, 146_097)
    let ofEra = shifted - era * 146_097
    let yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365
    let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * ofYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}
