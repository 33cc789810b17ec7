// What a watch has to tell and its reader has not taken yet: bounded, so that a reader that stands still costs little.
//
// When it is full, what waits is dropped and the watch ends with `.compacted`: for the reader a gap is a gap, whether
// the store or the buffer has forgotten, and the remedy is the same. One transaction always fits.

import Threads

final class WatchBuffer: Sendable {
  private struct State {
    var waiting: [[ControlEvent]] = []
    /// Of `waiting`, the first that was not taken.
    var first = 0
    var bytes = 0
    var end: (any Error)?
    var reader: CheckedContinuation<[ControlEvent]?, any Error>?

    mutating func take() -> [ControlEvent]? {
      guard first < waiting.count else { return nil }
      let events = waiting[first]
      bytes -= WatchBuffer.size(events)
      waiting[first] = []
      first += 1
      if first == waiting.count {
        waiting.removeAll(keepingCapacity: true)
        first = 0
      } else if first > 512, first * 2 > waiting.count {
        waiting.removeFirst(first)
        first = 0
      }
      return events
    }
  }

  private let state = Lock(State())
  private let bytesMax: Int

  init(bytesMax: Int) { self.bytesMax = bytesMax }

  /// A watch whose events come from whatever `start` starts; what `start` gives is called when the reader is gone.
  static func stream(
    bytesMax: Int, _ start: (WatchBuffer) -> @Sendable () -> Void
  ) -> AsyncThrowingStream<[ControlEvent], any Error> {
    let buffer = WatchBuffer(bytesMax: bytesMax)
    let reader = Reader(buffer, stop: start(buffer))
    return AsyncThrowingStream(unfolding: { try await reader.buffer.next() })
  }

  /// Lives as long as somebody can read.
  private final class Reader: Sendable {
    let buffer: WatchBuffer
    private let stop: @Sendable () -> Void

    init(_ buffer: WatchBuffer, stop: @escaping @Sendable () -> Void) {
      self.buffer = buffer
      self.stop = stop
    }

    deinit {
      buffer.finish(CancellationError())
      stop()
    }
  }

  var isEnded: Bool { state.with { $0.end != nil } }

  /// False when the watch has ended, now or before.
  func offer(_ events: [ControlEvent]) -> Bool {
    let size = Self.size(events)
    return state.with { s in
      guard s.end == nil else { return false }
      if let reader = s.reader.take() {
        reader.resume(returning: events)
        return true
      }
      guard s.bytes == 0 || s.bytes + size <= bytesMax else {
        s.waiting = []
        (s.first, s.bytes) = (0, 0)
        s.end = ControlStoreError(
          .compacted, "the watch was read too slowly and has a gap: read the range, then watch from there")
        return false
      }
      s.waiting.append(events)
      s.bytes += size
      return true
    }
  }

  /// What waits is still told, then `error`. The first end counts.
  func finish(_ error: any Error) {
    state.with { s in
      guard s.end == nil else { return }
      s.end = error
      s.reader.take()?.resume(throwing: error)
    }
  }

  private func next() async throws -> [ControlEvent]? {
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        state.with { s in
          precondition(s.reader == nil, "a watch has one reader")
          if let events = s.take() {
            continuation.resume(returning: events)
          } else if let end = s.end {
            continuation.resume(throwing: end)
          } else {
            s.reader = continuation
          }
        }
      }
    } onCancel: {
      finish(CancellationError())
    }
  }

  private static func size(_ events: [ControlEvent]) -> Int {
    events.reduce(64) { sum, event in
      switch event {
      case .put(let entry): sum + 64 + entry.key.utf8.count + entry.value.count
      case .deleted(let key, _), .damaged(let key, _): sum + 64 + key.utf8.count
      }
    }
  }
}
