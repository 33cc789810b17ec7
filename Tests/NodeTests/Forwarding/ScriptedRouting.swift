// Says where accounts are led as a test wants it, and otherwise what their records say.

import Base
import Formats
import Node
import Threads

final class ScriptedRouting: ShardRouting {
  struct Script: Sendable {
    var route: ShardRoute?
    var mayServe = true
    var hasReplica = false
    var freshAsOf: ContinuousClock.Instant?
    var applied = true
    /// How often `route` was asked.
    var asked = 0
    /// What each further question is answered with, from the first on; then `route`.
    var next: [ShardRoute] = []
  }

  private struct State {
    var script = Script()
    var waiting: [CheckedContinuation<Void, Never>] = []
  }

  private let records: any ShardRouting
  private let state = Lock(State())

  /// In front of what `node` has.
  init(_ node: NodeService) {
    records = node.routing
    node.use(self)
  }

  var script: Script { state.with { $0.script } }
  /// Requests that wait for somebody to lead.
  var waiting: Int { state.with { $0.waiting.count } }

  func set(_ change: (inout Script) -> Void) {
    let waiting = state.with { state in
      change(&state.script)
      guard state.script.route != .nobody else { return [CheckedContinuation<Void, Never>]() }
      defer { state.waiting = [] }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }

  func route(_ id: AccountID) -> ShardRoute {
    let scripted = state.with { state -> ShardRoute? in
      state.script.asked += 1
      return state.script.next.isEmpty ? state.script.route : state.script.next.removeFirst()
    }
    return scripted ?? records.route(id)
  }

  func waitForRoute(_ id: AccountID, until deadline: ContinuousClock.Instant) async -> ShardRoute {
    let alarm = Task {
      try? await Task.sleep(until: deadline, clock: .continuous)
      for continuation in state.with({ state in
        defer { state.waiting = [] }
        return state.waiting
      }) { continuation.resume() }
    }
    defer { alarm.cancel() }
    await withCheckedContinuation { continuation in
      let waits = state.with { state in
        guard state.script.route == .nobody else { return false }
        state.waiting.append(continuation)
        return true
      }
      if !waits { continuation.resume() }
    }
    return state.with { $0.script.route } ?? records.route(id)
  }

  func mayServe(_ id: AccountID, _ epoch: Epoch) -> Bool { script.mayServe }
  func hasReplica(_ id: AccountID) -> Bool { script.hasReplica }
  func freshAsOf(_ id: AccountID) -> ContinuousClock.Instant? { script.freshAsOf }
  func waitUntilApplied(
    _ id: AccountID, _ place: LogPlace, until deadline: ContinuousClock.Instant
  ) async -> Bool { script.applied }
}
