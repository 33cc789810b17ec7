// What the shards of a node ask of the engine that stores them. Nothing that is not async waits.

package import Base
package import Formats
package import Replication
package import ShardStore

package protocol ShardEngine: Sendable {
  /// Hears of every log, on the engine's threads.
  func setSink(_ sink: any ReplicaSink)
  /// Asked behind each read's pin: may what was read in this epoch be shown?
  func setLeaseCheck(_ mayServe: @escaping @Sendable (AccountID, Epoch) -> Bool)
  /// Where the account's log stands; nil when nothing of the account is here.
  func replicaStanding(_ id: AccountID) async throws -> Replication.ReplicaStanding?

  func hasAccount(_ id: AccountID) -> Bool
  /// What a new reader of this node's replica would see.
  func publishedPosition(_ id: AccountID) async throws -> Position
  /// The same at once; nil when the account is not open.
  func publishedIfOpen(_ id: AccountID) -> Position?

  /// Begins the epoch as primary.
  func lead(_ id: AccountID, epoch: Epoch) async throws
  /// No record of the epoch follows when this has returned.
  func stopLeading(_ id: AccountID)
  /// Returns when no write is on its way to the log; further ones wait.
  func pauseWriter(_ id: AccountID) async throws
  func resumeWriter(_ id: AccountID)

  func store(_ id: AccountID, _ records: [SealedRecord])
  func cut(_ id: AccountID, after position: Position) async throws
  func publish(_ id: AccountID, upTo position: Position)
  func records(_ id: AccountID, from index: LogIndex, bytesMax: Int) async throws -> [SealedRecord]?
  /// What a record of this kind makes exist; empty for the others.
  func recordings(namedBy record: SealedRecord) async throws -> [RecordingID]
}

extension Engine: ShardEngine {
  package func publishedPosition(_ id: AccountID) async throws -> Position {
    try await read(id, from: .replica) { _ in }.position
  }

  package func replicaStanding(_ id: AccountID) async throws -> Replication.ReplicaStanding? {
    guard hasAccount(id) else { return nil }
    let standing = try await standing(id)
    return Replication.ReplicaStanding(committed: standing.committed, tail: standing.tail, reached: standing.reached)
  }
}
