// The control store as ownership asks it: lists, gets, compare-and-sets of many records at once, one watch. Nothing here
// waits on the loop; each answer comes back as an event there.
//
// An error says whether a transaction may have been made: only the store's own word that it was not counts as "not".

import Base
import Control
import ControlStores
import Threads

final class OwnershipRecords: Sendable {
  enum Answer: Sendable {
    case list(ControlRange)
    case entry(ControlEntry?)
    case transacted(ControlOutcome)
    case changes([ControlEvent])
    case watchEnded(isCompacted: Bool)
    case failed(isUnknown: Bool)
  }

  private struct State {
    var tasks: [UInt64: Task<Void, Never>] = [:]
    var watch: Task<Void, Never>?
    var isClosed = false
  }

  private static let recordsMax = 1 << 22

  private let store: any ControlStore
  private let answer: @Sendable (UInt64, Answer) async -> Void
  private let state = Lock(State())

  /// `answer` takes each answer to where the machine lives.
  init(_ store: any ControlStore, answer: @escaping @Sendable (UInt64, Answer) async -> Void) {
    (self.store, self.answer) = (store, answer)
  }

  func list(_ request: UInt64, prefix: String) {
    ask(request) { store throws(ControlStoreError) in
      .list(try await store.entries(prefix: prefix, limit: Self.recordsMax))
    }
  }

  func get(_ request: UInt64, key: String) {
    ask(request) { store throws(ControlStoreError) in .entry(try await store.entry(key)) }
  }

  func transact(_ request: UInt64, _ puts: [OwnershipPut]) {
    let conditions = puts.map { ControlCondition($0.key, at: $0.revision) }
    let changes = puts.map { ControlChange.put($0.key, $0.value) }
    ask(request) { store throws(ControlStoreError) in
      .transacted(try await store.transact(if: conditions, then: changes, lease: nil))
    }
  }

  /// Ends any watch before.
  func watch(_ request: UInt64, prefix: String, from revision: Int64) {
    let (store, answer) = (store, answer)
    let task = Task {
      var isCompacted = false
      do {
        for try await events in store.watch(prefix: prefix, from: revision) { await answer(request, .changes(events)) }
      } catch let error as ControlStoreError {
        isCompacted = error.code == .compacted
      } catch {}
      if !Task.isCancelled { await answer(request, .watchEnded(isCompacted: isCompacted)) }
    }
    let old = state.with { state in
      let old = state.watch
      state.watch = task
      if state.isClosed { task.cancel() }
      return old
    }
    old?.cancel()
  }

  /// Gives up what is under way, and waits for it to end.
  func close() async {
    let running = state.with { state in
      state.isClosed = true
      return Array(state.tasks.values) + [state.watch].compactMap { $0 }
    }
    for task in running { task.cancel() }
    for task in running { await task.value }
  }

  private func ask(
    _ request: UInt64, _ body: @escaping @Sendable (any ControlStore) async throws(ControlStoreError) -> Answer
  ) {
    let (store, answer, state) = (store, answer, state)
    state.with { s in
      guard !s.isClosed else { return }
      // Under the lock: the task takes itself out of the table, which it must not do before it stands there.
      s.tasks[request] = Task {
        let outcome: Answer
        do throws(ControlStoreError) {
          outcome = try await body(store)
        } catch {
          outcome = .failed(isUnknown: error.mayHaveBeenMade)
        }
        await answer(request, outcome)
        state.with { $0.tasks[request] = nil }
      }
    }
  }
}

extension ControlStoreError {
  /// A transaction that failed so may stand in the store all the same.
  fileprivate var mayHaveBeenMade: Bool {
    switch code {
    case .busy, .unavailable, .refused, .invalid, .wrongKey: false
    case .unknown, .io, .damaged, .compacted, .leaseExpired: true
    }
  }
}
