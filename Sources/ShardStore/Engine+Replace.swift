// Another state in place of an account's database: one transaction of its log, whose pages are those that differ.
//
// Whoever asks has compared that state with a pinned view. What was written since then is part of the state before; the
// writer's turn is held only for what is left to do: the rows that stay as they are now (`ReplaceRows`), the pages that
// changed since the pin, and the gate. Replicas, the archive and snapshots see pages like any other commit's.

package import Base
import SQLite
import Threads

package struct Replacement: Sendable {
  /// What the state was compared with.
  package var view: PinnedView
  package var pageCount: Int
  /// Pages that differ from the view's; all of those behind its end.
  package var images: [PageNumber: [UInt8]]
  /// Every recording that a row of the state names.
  package var recordings: [RecordingID]
  /// What is remembered of it; `before` is filled in.
  package var entry: ReplacementEntry
  /// A second one with the same key does nothing.
  package var request: Idempotency?

  package init(
    view: PinnedView, pageCount: Int, images: [PageNumber: [UInt8]], recordings: [RecordingID], entry: ReplacementEntry,
    request: Idempotency?
  ) {
    self.view = view
    self.pageCount = pageCount
    self.images = images
    self.recordings = recordings
    self.entry = entry
    self.request = request
  }
}

package struct Replaced: Sendable {
  package var entry: ReplacementEntry
  /// Pages that its record holds.
  package var pages: Int
  /// Recordings of the state whose keys were destroyed: their rows did not come back.
  package var erased: [RecordingID]
  /// The same request did it before; nothing was changed now.
  package var isRepeated = false
}

extension Engine {
  /// Durable on a write set when it returns. `.closed` and `.notApplied`: nothing was changed, and it may be tried again
  /// from a new view; `.tooLarge`: more pages differ than a transaction may have; `.unknown` as for any write.
  package func replace(_ id: AccountID, _ replacement: Replacement) async throws -> Answer<Replaced> {
    let shard = try await held(id)
    defer { shard.release() }
    return try await withCheckedThrowingContinuation { continuation in
      shard.replace(replacement) { continuation.resume(with: $0) }
    }
  }

  /// Keeps recordings without rows from being collected for the time that uploads have, too.
  package func keep(_ id: AccountID, _ recordings: [RecordingID]) async throws {
    let shard = try await held(id)
    defer { shard.release() }
    shard.recordings.keep(recordings, now: clock.monotonicNanoseconds())
  }

  /// Of `recordings`, those whose bytes are not all here. Blocks for the first look at the volumes.
  package func absent(_ id: AccountID, _ recordings: [RecordingID]) throws -> [RecordingID] {
    let shard = try openNow(id, isHeld: true)
    defer { shard.release() }
    return try recordings.filter { try shard.recordings.volumes.chunks(of: $0) == nil }
  }

  /// Takes a recording of this account back from its archive: its frames as they lay in the volumes, under the key that it
  /// still has. Durable when it returns. `.wrongKey` when it was erased.
  package func bringBack(
    _ id: AccountID, _ recording: RecordingID, _ next: () throws -> [UInt8]?
  ) throws {
    let shard = try openNow(id, isHeld: true)
    defer { shard.release() }
    let recordings = shard.recordings
    _ = try recordings.key(of: recording)
    recordings.keep([recording], now: clock.monotonicNanoseconds())
    recordings.volumes.forget(recording)
    do {
      var volumes: Set<UInt32> = []
      while let frame = try next() { volumes.insert(try recordings.append(frame, of: recording)) }
      guard try recordings.volumes.chunks(of: recording) != nil else {
        throw StoreError(.damaged, "recording \(recording) came without its end")
      }
      try recordings.finish(volumes)
    } catch {
      recordings.volumes.forget(recording)
      throw error
    }
  }

  /// A sealed file of the engine's for pages on their way; its bytes count for nobody's quota.
  package func spool() -> ReplacementSpool {
    ReplacementSpool(SealedTemporary(quota: TemporaryQuota(disk: disk, configuration: configuration, limit: .max)))
  }

  package var replacementPagesMax: Int { configuration.transactionPagesMax }
}

/// Pages by number in a sealed temporary file, which goes with it.
package final class ReplacementSpool: Sendable {
  private struct State {
    let file: SealedTemporary
    var places: [PageNumber: UInt64] = [:]
  }
  private let state: Lock<State>

  init(_ file: sending SealedTemporary) { state = Lock(State(file: file)) }

  deinit { state.with { $0.file.close() } }

  package func has(_ number: PageNumber) -> Bool { state.with { $0.places[number] != nil } }

  /// Nil when it was never written.
  package func read(_ number: PageNumber) throws(StoreError) -> [UInt8]? {
    try state.with { s throws(StoreError) -> [UInt8]? in
      guard let place = s.places[number] else { return nil }
      var bytes = [UInt8](repeating: 0, count: Limits.pageBytes)
      var span = bytes.mutableSpan
      var raw = span.mutableBytes
      guard s.file.read(at: place * UInt64(Limits.pageBytes), into: &raw) else {
        throw StoreError(.io, "a temporary file cannot be read back; try again")
      }
      return bytes
    }
  }

  package func write(_ number: PageNumber, _ bytes: [UInt8]) throws(StoreError) {
    try state.with { s throws(StoreError) in
      let place = s.places[number] ?? UInt64(s.places.count)
      guard s.file.write(bytes.span.bytes, at: place * UInt64(Limits.pageBytes)) else {
        throw StoreError(.diskFull, "there is no room for temporary files; free some space and try again")
      }
      s.places[number] = place
    }
  }
}
