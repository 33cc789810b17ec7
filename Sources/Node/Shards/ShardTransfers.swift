// What a replica fetches from another node in one piece, beside the records: a base to begin from, recordings.

package import Base

package struct ShardTransfer: Sendable {
  /// Durable and installed when it returns the position behind which the log goes on; nil when that node has nothing to
  /// give now.
  package var fetch: @Sendable (AccountID, NodeID) async throws -> Position?

  package init(fetch: @escaping @Sendable (AccountID, NodeID) async throws -> Position?) { self.fetch = fetch }
}

package struct RecordingTransfer: Sendable {
  /// Bytes and keys of all of them are durable here when it returns; at once for what was here already.
  package var fetch: @Sendable (AccountID, [RecordingID], NodeID) async throws -> Void

  package init(fetch: @escaping @Sendable (AccountID, [RecordingID], NodeID) async throws -> Void) {
    self.fetch = fetch
  }
}
