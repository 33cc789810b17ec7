// Progress of long work: a bar on a terminal, a line now and then otherwise, JSON lines with `--json`.

import Synchronization

final class ProgressDisplay: Sendable {
  private struct State {
    var last = -1.0
    var message = ""
    var drawn = false
  }
  private let state = Mutex(State())
  private let title: String
  private let json: Bool
  private let interactive: Bool

  init(_ title: String, json: Bool, interactive: Bool = Terminal.isInteractive) {
    self.title = title
    self.json = json
    self.interactive = interactive
  }

  func update(_ fraction: Double, _ message: String) {
    state.withLock { state in
      let fraction = min(max(fraction, 0), 1)
      guard fraction != state.last || message != state.message else { return }
      if json {
        Terminal.line(Self.jsonLine(title, fraction, message))
      } else if interactive {
        Terminal.draw("\r\u{1B}[K" + Self.bar(title, fraction, message))
        state.drawn = true
      } else if fraction >= state.last + 0.1 || fraction == 1 || state.last < 0 {
        Terminal.note("\(title): \(Int(fraction * 100)) % \(message)")
      } else {
        return
      }
      state.last = fraction
      state.message = message
    }
  }

  /// Leaves the bar as it is and goes to the next line.
  func finish() {
    state.withLock { state in
      if state.drawn { Terminal.draw("\n") }
      state.drawn = false
    }
  }

  static func bar(_ title: String, _ fraction: Double, _ message: String) -> String {
    let width = 30
    let filled = Int(fraction * Double(width))
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    return "\(title) [\(bar)] \(Int(fraction * 100)) % \(message)"
  }

  static func jsonLine(_ title: String, _ fraction: Double, _ message: String) -> String {
    JSONValue.object([
      "event": .text("progress"), "work": .text(title), "progress": .number(fraction), "message": .text(message),
    ]).encoded(pretty: false)
  }
}
