// What a snapshot is taken from: one pinned position of one account. The live engine is one source, a test's fake
// another.

package import Base
import Formats
package import ShardStore

/// A recording that a row at the pinned position names.
package struct SourceRecording: Sendable, Equatable {
  package var id: RecordingID
  package var bytes: UInt64
  package var chunks: Int
  /// Hash over the keyed hashes of its original chunks, in order.
  package var root: [UInt8]

  package init(id: RecordingID, bytes: UInt64, chunks: Int, root: [UInt8]) {
    self.id = id
    self.bytes = bytes
    self.chunks = chunks
    self.root = root
  }
}

package protocol SnapshotSource: Sendable {
  var account: AccountID { get }
  var position: Position { get }
  var databasePages: Int { get }
  /// `count` whole pages from page `first`, plain, one after the other.
  func pages(from first: PageNumber, count: Int) async throws -> [UInt8]
  /// What changed in the database since `position`, in groups of `Limits.snapshotGroupPages` pages; nil when the source cannot
  /// say, so that everything is to be read.
  func changes(since position: Position) async throws -> DatabaseChanges?
  /// Every recording at the position, in any order.
  func recordings() async throws -> [SourceRecording]
  /// Chunk `number` as it lies in its volume, sealed under the recording's own key.
  func sealedChunk(_ number: Int, of recording: RecordingID) async throws -> [UInt8]
  /// The keyring's state now, for the archive. Blocks.
  func keyringState() throws -> [UInt8]
}
