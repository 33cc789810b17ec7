// A live account's pinned position as the source of a snapshot. The writer goes on; nobody waits for the snapshot.
//
// The rows of recordings are read from the pinned pages themselves, so that they belong to exactly that position.

import AtRest
package import Base
import Formats
package import ShardStore
import Threads

package struct PinnedSource: SnapshotSource {
  let engine: Engine
  let view: PinnedView
  let keyring: Keyring
  /// The recordings whose chunks are being asked for, the last one asked for behind; several are read side by side.
  private let current = Lock<[RecordingReader]>([])
  private static let currentMax = 4

  /// Pins the account where it is now.
  package static func pin(_ engine: Engine, _ account: AccountID) async throws -> PinnedSource {
    PinnedSource(
      engine: engine, view: try await engine.pin(account),
      keyring: try await BackupWork.perform { try engine.keyring(account) })
  }

  private init(engine: Engine, view: PinnedView, keyring: Keyring) {
    self.engine = engine
    self.view = view
    self.keyring = keyring
  }

  package var account: AccountID { view.account }
  package var position: Position { view.position }
  package var databasePages: Int { view.pageCount }

  package func changes(since position: Position) async throws -> DatabaseChanges? {
    do {
      return try await engine.changes(
        account, after: position, to: view.position, groupPages: Limits.snapshotGroupPages,
        bytesMax: databasePages * Limits.pageBytes / 2)
    } catch let error as StoreError where error.code == .damaged {
      // A damaged log is for `verify` to name. The pages are whole, and they are what a snapshot is of.
      return nil
    }
  }

  package func pages(from first: PageNumber, count: Int) async throws -> [UInt8] {
    let view = view
    return try await BackupWork.perform {
      var bytes: [UInt8] = []
      bytes.reserveCapacity(count * Limits.pageBytes)
      for number in first..<(first + PageNumber(count)) { bytes += try view.readPage(number) }
      return bytes
    }
  }

  /// The database at the position, for SQLite.
  var host: ReadOnlyPages {
    ReadOnlyPages(pageCount: view.pageCount) { [view] (number) throws(BackupError) in
      do { return try view.readPage(number)[...] } catch { throw BackupError(anyOf: error) }
    }
  }

  package func recordings() async throws -> [SourceRecording] {
    let host = host
    return try await BackupWork.perform { try host.query { try RecordingRows.all(in: $0) } }
  }

  package func sealedChunk(_ number: Int, of recording: RecordingID) async throws -> [UInt8] {
    if let reader = current.with({ $0.first { $0.id == recording } }) { return try await reader.sealedChunk(number) }
    let reader = try await engine.recording(account, recording)
    current.with { current in
      if current.count >= Self.currentMax { current.removeFirst() }
      current.append(reader)
    }
    return try await reader.sealedChunk(number)
  }

  package func keyringState() throws -> [UInt8] { try keyring.exportState() }
}
