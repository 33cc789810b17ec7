// One account of the simulated node: its oracle, and what clients hold open on it.

import Base
import ShardStore

final class SimulatedAccount: @unchecked Sendable {
  // Invariant: touched by the simulation's one thread, which also runs every task.
  enum Existence { case no, perhaps, yes }

  struct OpenUpload {
    let upload: Upload
    let recording: SimulatedRecording
    var sent = 0
  }

  let oracle: AccountOracle
  var existence = Existence.no
  var pins: [PinnedViewChecker] = []
  var uploads: [OpenUpload] = []
  /// Recordings that are durable, whose rows the client has not sent yet.
  var finished: [(StoredRecording, SimulatedRecording)] = []
  let session = SimulatedSession()
  /// Serials that were sent under an idempotency key.
  var keyed: [Int] = []
  /// A collection of recordings is under way.
  var collecting = false

  var id: AccountID { oracle.id }

  init(_ id: AccountID) { oracle = AccountOracle(id) }

  /// The process is gone, and with it what clients held.
  func forgetHandles() {
    pins = []
    uploads = []
    finished = []
    session.forget()
    collecting = false
    oracle.forgetPending()
  }
}

/// A client's interactive session and how far its transaction is.
final class SimulatedSession {
  enum Phase { case closed, opening, idle, working, inTransaction }
  var phase = Phase.closed
  var session: Session?
  var serial: Int?

  func forget() {
    phase = .closed
    session = nil
    serial = nil
  }
}
