// One at a time, in the order of arrival, for work that awaits.

import Threads

final class SerialGate: Sendable {
  private struct State {
    var isTaken = false
    var waiting: [CheckedContinuation<Void, Never>] = []
  }
  private let state = Lock(State())

  func run<T: Sendable>(_ body: @Sendable () async throws -> T) async rethrows -> T {
    await enter()
    defer { leave() }
    return try await body()
  }

  private func enter() async {
    await withCheckedContinuation { continuation in
      let isMine = state.with { s in
        defer { s.isTaken = true }
        if s.isTaken { s.waiting.append(continuation) }
        return !s.isTaken
      }
      if isMine { continuation.resume() }
    }
  }

  private func leave() {
    let next = state.with { s -> CheckedContinuation<Void, Never>? in
      guard !s.waiting.isEmpty else {
        s.isTaken = false
        return nil
      }
      return s.waiting.removeFirst()
    }
    next?.resume()
  }
}
