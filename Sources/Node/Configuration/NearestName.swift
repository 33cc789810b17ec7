// The known word nearest to a misspelt one, by Levenshtein's distance; nil when none is near.

enum NearestName {
  /// At most one third of the word, and at least one letter, may differ.
  static func find(_ word: String, among known: [String]) -> String? {
    let scored = known.map { (name: $0, distance: distance(Array(word.utf8), Array($0.utf8))) }
    guard let best = scored.min(by: { ($0.distance, $0.name) < ($1.distance, $1.name) }) else { return nil }
    return best.distance <= max(1, (max(word.utf8.count, best.name.utf8.count) + 2) / 3) ? best.name : nil
  }

  static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, y) in b.enumerated() {
        let substituted = diagonal + (x == y ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, row[j] + 1, row[j + 1] + 1)
      }
    }
    return row[b.count]
  }
}
