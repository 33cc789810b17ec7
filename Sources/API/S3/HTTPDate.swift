// Times as HTTP writes them (RFC 9110 §5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.

import SigV4

package enum HTTPDate {
  private static let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  /// `seconds` since 1970.
  package static func text(_ seconds: Int64) -> String {
    let digits = Array(SigningTime(seconds: seconds).text.utf8)
    func part(_ range: Range<Int>) -> String { String(decoding: digits[range], as: UTF8.self) }
    let (weekday, month) = (days[Int(seconds / 86_400 % 7)], months[(Int(part(4..<6)) ?? 1) - 1])
    let clock = "\(part(9..<11)):\(part(11..<13)):\(part(13..<15))"
    return "\(weekday), \(part(6..<8)) \(month) \(part(0..<4)) \(clock) GMT"
  }

  /// Seconds since 1970; nil for anything but that form, which then counts for nothing.
  package static func parse(_ text: String) -> Int64? {
    let words = text.split(separator: " ")
    guard words.count == 6, words[5] == "GMT", words[1].utf8.count == 2, words[3].utf8.count == 4,
      let month = months.firstIndex(of: String(words[2])), words[4].utf8.count == 8
    else { return nil }
    let number = month < 9 ? "0\(month + 1)" : "\(month + 1)"
    let clock = words[4].split(separator: ":", omittingEmptySubsequences: false).joined()
    return SigningTime("\(words[3])\(number)\(words[1])T\(clock)Z")?.seconds
  }
}
