// How far an import's parts have come, which go on side by side: one bar for both on a terminal, lines of their own
// elsewhere.

import Synchronization

final class ImportProgress: Sendable {
  private let displays: [String: ProgressDisplay]
  private let together: ProgressDisplay?
  private let parts: Int
  private let state = Mutex<[String: (fraction: Double, message: String)]>([:])

  init(json: Bool, parts: Int) {
    self.parts = parts
    let isOneBar = parts > 1 && !json && Terminal.isInteractive
    together = isOneBar ? ProgressDisplay("import", json: false) : nil
    displays =
      isOneBar
      ? [:]
      : Dictionary(uniqueKeysWithValues: ["database", "recordings"].map { ($0, ProgressDisplay($0, json: json)) })
  }

  func update(_ part: String, _ fraction: Double, _ message: String) {
    guard let together else { return displays[part]?.update(fraction, message) ?? () }
    state.withLock { state in
      state[part] = (fraction, message)
      let known = state.sorted { $0.key < $1.key }.map(\.value)
      together.update(
        known.reduce(0) { $0 + $1.fraction } / Double(parts), known.map(\.message).joined(separator: ", "))
    }
  }

  func finish() {
    together?.finish()
    for display in displays.values { display.finish() }
  }
}
