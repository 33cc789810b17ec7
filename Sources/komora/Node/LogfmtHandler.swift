// Log lines for machines and people: `ts=… level=info msg="…" key=value`, one line each, to standard error.
//
// The code that logs gives constant messages and metadata without tenant data; this only makes sure that a value cannot
// break out of its line.

import Foundation
import Logging

struct LogfmtHandler: LogHandler {
  let label: String
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]

  init(label: String, level: Logger.Level) {
    self.label = label
    logLevel = level
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let all = metadata.merging(event.metadata ?? [:]) { $1 }
    let line = Self.line(
      at: Date(), level: event.level, message: "\(event.message)", label: label,
      pairs: all.map { ($0.key, "\($0.value)") })
    Terminal.note(line)
  }

  static func line(
    at date: Date, level: Logger.Level, message: String, label: String, pairs: [(String, String)]
  ) -> String {
    let time = date.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
    let head = "ts=\(time) level=\(level.rawValue) logger=\(value(label)) msg=\(value(message))"
    return pairs.sorted { $0.0 < $1.0 }.reduce(head) { $0 + " \(key($1.0))=\(value($1.1))" }
  }

  private static func key(_ text: String) -> String {
    String(text.map { $0.isASCII && ($0.isLetter || $0.isNumber || "._-".contains($0)) ? $0 : "_" })
  }

  /// Quoted when it is not one plain word.
  private static func value(_ text: String) -> String {
    let plain =
      !text.isEmpty
      && text.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value < 0x7F && $0 != "\"" && $0 != "=" && $0 != "\\" }
    guard !plain else { return text }
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\" + String(scalar)
      case "\n": quoted += "\\n"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F: quoted += "\\x" + String(scalar.value, radix: 16)
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
