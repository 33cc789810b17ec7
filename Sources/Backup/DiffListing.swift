// The names that a comparison gives beside its counts: as many as were asked for, of rows and of recordings each, and not
// more than a reply can carry.

package struct DiffListing {
  private(set) var rows: [DiffReport.Row] = []
  private(set) var recordings: [DiffReport.Recording] = []
  private(set) var isCut = false
  private let count: Int
  private var bytesLeft = DiffListing.bytesMax
  package static let bytesMax = 1 << 20
  /// Of a key or of one value of it; what is longer ends in "…".
  static let textMax = 1024

  init(_ count: Int) {
    self.count = count
  }

  mutating func add(_ table: String, _ change: DiffReport.Change, _ key: () -> [String], _ columns: [String]) {
    guard mayAdd(to: rows.count) else { return }
    let key = key().map(Self.shortened)
    if fits(table.utf8.count + key.reduce(0) { $0 + $1.utf8.count } + columns.reduce(0) { $0 + $1.utf8.count }) {
      rows.append(DiffReport.Row(table: table, change: change, key: key, columns: columns))
    }
  }

  mutating func add(_ key: String, _ change: DiffReport.Recording.Change) {
    guard mayAdd(to: recordings.count) else { return }
    let key = Self.shortened(key)
    if fits(key.utf8.count) { recordings.append(DiffReport.Recording(key: key, change: change)) }
  }

  private mutating func mayAdd(to listed: Int) -> Bool {
    if count > 0, listed >= count { isCut = true }
    return listed < count
  }

  private mutating func fits(_ bytes: Int) -> Bool {
    guard bytes + 64 <= bytesLeft else {
      isCut = true
      return false
    }
    bytesLeft -= bytes + 64
    return true
  }

  private static func shortened(_ text: String) -> String {
    text.utf8.count <= textMax ? text : String(text.prefix(textMax / 4)) + "…"
  }
}
