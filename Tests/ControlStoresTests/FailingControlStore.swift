// A control store that stops answering after so many calls, before or after the call took effect: what a process sees
// that is killed, or whose network goes, at any point.

import ControlStores
import Synchronization

final class FailingControlStore: ControlStore {
  private let inner: any ControlStore
  private let left: Atomic<Int>
  private let isAnswerLost: Bool

  init(_ inner: any ControlStore, calls: Int, answerLost isAnswerLost: Bool) {
    self.inner = inner
    left = Atomic(calls)
    self.isAnswerLost = isAnswerLost
  }

  private func isLast() -> Bool { left.wrappingSubtract(1, ordering: .relaxed).oldValue <= 0 }

  func entry(_ key: String) async throws(ControlStoreError) -> ControlEntry? {
    if isLast() { throw ControlStoreError(.unavailable, "gone") }
    return try await inner.entry(key)
  }

  func entries(prefix: String, limit: Int) async throws(ControlStoreError) -> ControlRange {
    if isLast() { throw ControlStoreError(.unavailable, "gone") }
    return try await inner.entries(prefix: prefix, limit: limit)
  }

  func transact(
    if conditions: [ControlCondition], then changes: [ControlChange], lease: ControlLease?
  ) async throws(ControlStoreError) -> ControlOutcome {
    let isLast = isLast()
    if isLast, !isAnswerLost { throw ControlStoreError(.unavailable, "gone") }
    let outcome = try await inner.transact(if: conditions, then: changes, lease: lease)
    if isLast { throw ControlStoreError(.unknown, "the answer is lost") }
    return outcome
  }

  func watch(prefix: String, from revision: ControlRevision) -> AsyncThrowingStream<[ControlEvent], any Error> {
    inner.watch(prefix: prefix, from: revision)
  }

  func grant(seconds: Int) async throws(ControlStoreError) -> ControlLease { try await inner.grant(seconds: seconds) }
  func keepAlive(_ lease: ControlLease) async throws(ControlStoreError) { try await inner.keepAlive(lease) }
  func revoke(_ lease: ControlLease) async throws(ControlStoreError) { try await inner.revoke(lease) }
}
