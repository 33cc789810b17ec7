// Hands bytes to a thread of its own, in order, so that whoever makes them goes on while they are compressed, sealed and
// written. At most two pieces wait.

import Threads

final class ExportPipe: Sendable {
  private struct State {
    var pieces: [[UInt8]] = []
    var isClosed = false
    var hasEnded = false
    var failure: (any Error)?
  }

  /// That an export may have at a time, since each holds a thread from its beginning to its end.
  static let perExport = 2
  private static let waitingMax = 2
  private let state: Lock<State>
  /// They stay: threads of its own for each export would leave memory behind.
  private static let pool = WorkPool(
    name: "export-pipe", threads: perExport * AccountExports.parallel, priority: BackupWork.priority)

  /// `consume` gets one piece after the other on the thread; after it has thrown, nothing more.
  init(_ consume: @escaping @Sendable ([UInt8]) throws -> Void) {
    let state = Lock(State())
    self.state = state
    Self.pool.run {
      while let piece = state.wait(
        until: { !$0.pieces.isEmpty || $0.isClosed }, { $0.pieces.isEmpty ? nil : $0.pieces.removeFirst() })
      {
        state.wake()
        guard state.with({ $0.failure == nil }) else { continue }
        do { try consume(piece) } catch {
          state.with { $0.failure = error }
          state.wake()
        }
      }
      state.with { $0.hasEnded = true }
      state.wake()
    }
  }

  /// Waits for room. Throws what `consume` has thrown.
  func send(_ piece: [UInt8]) throws {
    let failure = state.wait(until: { $0.pieces.count < Self.waitingMax || $0.failure != nil }) { state in
      if state.failure == nil { state.pieces.append(piece) }
      return state.failure
    }
    state.wake()
    if let failure { throw failure }
  }

  /// Returns when everything has been taken and the thread is free; also to be called when something has failed. Nothing is
  /// sent behind it; a second call only says the same again.
  func close() throws {
    state.with { $0.isClosed = true }
    state.wake()
    if let failure = state.wait(until: { $0.hasEnded }, { $0.failure }) { throw failure }
  }
}
