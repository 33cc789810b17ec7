// Bounds the requests that are on their way to one node at once: a link has room for a number of streams, and beats and
// records share it.
//
// Whoever comes beyond waits in the order of arrival. A place is given back when it is dropped.

import Base
import Threads

final class ForwardingGate: Sendable {
  final class Place: Sendable {
    private let gate: ForwardingGate
    private let node: NodeID
    fileprivate init(_ gate: ForwardingGate, _ node: NodeID) { (self.gate, self.node) = (gate, node) }
    deinit { gate.leave(node) }
  }

  private struct Waiter {
    let number: UInt64
    let continuation: CheckedContinuation<Bool, Never>
  }

  private struct State {
    var inside: [NodeID: Int] = [:]
    var waiting: [NodeID: [Waiter]] = [:]
    var next: UInt64 = 0
  }

  private let max: Int
  private let state = Lock(State())

  /// 192 of the 256 streams that a peer takes on one link.
  init(max: Int = 192) { self.max = max }

  var inFlight: Int { state.with { $0.inside.values.reduce(0, +) } }

  /// Nil when there is no place before `deadline`.
  func enter(_ node: NodeID, until deadline: ContinuousClock.Instant) async -> Place? {
    let number = state.with { state -> UInt64? in
      guard state.inside[node, default: 0] >= max else {
        state.inside[node, default: 0] += 1
        return nil
      }
      state.next += 1
      return state.next
    }
    guard let number else { return Place(self, node) }
    let alarm = Task {
      try? await Task.sleep(until: deadline, clock: .continuous)
      self.giveUp(node, number)
    }
    defer { alarm.cancel() }
    let isIn = await withCheckedContinuation { continuation in
      let isIn = state.with { state -> Bool? in
        if state.inside[node, default: 0] < max {
          state.inside[node, default: 0] += 1
          return true
        }
        guard ContinuousClock.now < deadline else { return false }
        state.waiting[node, default: []].append(Waiter(number: number, continuation: continuation))
        return nil
      }
      if let isIn { continuation.resume(returning: isIn) }
    }
    return isIn ? Place(self, node) : nil
  }

  /// The place goes to whoever waits longest.
  private func leave(_ node: NodeID) {
    let next = state.with { state -> Waiter? in
      if state.waiting[node]?.isEmpty == false { return state.waiting[node]!.removeFirst() }
      state.waiting[node] = nil
      let left = state.inside[node, default: 1] - 1
      state.inside[node] = left > 0 ? left : nil
      return nil
    }
    next?.continuation.resume(returning: true)
  }

  private func giveUp(_ node: NodeID, _ number: UInt64) {
    let found = state.with { state -> Waiter? in
      guard let place = state.waiting[node]?.firstIndex(where: { $0.number == number }) else { return nil }
      return state.waiting[node]!.remove(at: place)
    }
    found?.continuation.resume(returning: false)
  }
}
