// What commands print: results to standard output, everything else to standard error.

import Foundation
import Glibc

enum Terminal {
  static var isInteractive: Bool { isatty(STDERR_FILENO) == 1 }

  static func error(_ line: String) { write(line + "\n", to: FileHandle.standardError) }
  static func note(_ line: String) { write(line + "\n", to: FileHandle.standardError) }
  /// Without a line feed, for a line that is drawn again.
  static func draw(_ text: String) { write(text, to: FileHandle.standardError) }
  /// At once, also into a pipe.
  static func line(_ line: String) { write(line + "\n", to: FileHandle.standardOutput) }

  private static func write(_ text: String, to handle: FileHandle) {
    // A reader that has gone away is no reason to fail.
    try? handle.write(contentsOf: Data(text.utf8))
  }

  /// Columns as wide as their widest cell; numbers are not aligned apart.
  static func table(_ header: [String], _ rows: [[String]]) -> String {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
      let cells = row.enumerated().map { column, cell in
        column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count)
      }
      return cells.joined(separator: "  ")
    }.joined(separator: "\n")
  }

  /// "1.2 GiB".
  static func bytes(_ count: Int64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var value = Double(count)
    var unit = 0
    while value >= 1024, unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    let rounded = (value * 10).rounded() / 10
    return unit == 0 ? "\(count) B" : "\(rounded) \(units[unit])"
  }
}
