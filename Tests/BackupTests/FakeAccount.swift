// An account without an engine: a database in memory, recordings in a dictionary, and archive keys.
//
// Each copy of it is one position, so a test can keep what a snapshot must give back.

import AtRest
import Backup
import Base
import Disk
import Formats
import OpenSSL
import SQLite
import ShardStore
import Threads

struct FakeAccount: Sendable {
  let id: AccountID
  let keys: ArchiveKeys
  let layout: ArchiveLayout
  var position = Position(epoch: 1, index: 1, checksum: Checksum(bits: 77))
  var pages: [[UInt8]] = []
  var recordings: [RecordingID: [[UInt8]]] = [:]
  let recordingKeys = FakeRecordingKeys()

  init(seed: UInt64 = 1, root: String = "/archive") {
    var random = SeededGenerator(seed: seed)
    id = AccountID(from: &random)
    keys = ArchiveKeys(
      account: id, archive: SecretBytes((0..<32).map { UInt8(truncatingIfNeeded: $0 + Int(seed)) }),
      signing: SecretBytes((0..<32).map { UInt8(truncatingIfNeeded: 100 - $0 + Int(seed)) }))
    layout = ArchiveLayout(root: root, account: id)
  }

  /// Rows in the database and one recording, all made from `seed`.
  static func filled(seed: UInt64 = 1, rows: Int = 300, recordings count: Int = 3) throws -> FakeAccount {
    var account = FakeAccount(seed: seed)
    let memory = MemoryPages()
    var random = SeededGenerator(seed: seed)
    try memory.use { connection in
      try connection.execute("CREATE TABLE calls(id INTEGER PRIMARY KEY, body BLOB)")
      try connection.execute("BEGIN")
      for _ in 0..<rows {
        let body = (0..<1000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        try connection.execute("INSERT INTO calls(body) VALUES(?)", .blob(body))
      }
      try connection.execute("COMMIT")
    }
    account.pages = memory.pages
    for _ in 0..<count { account.addRecording(using: &random) }
    return account
  }

  mutating func addRecording(chunks: Int = 2, using random: inout SeededGenerator) {
    let id = RecordingID(from: &random)
    recordings[id] = (0..<chunks).map { _ in (0..<500).map { _ in UInt8(truncatingIfNeeded: random.next()) } }
    recordingKeys.make(id)
  }

  /// Changes what one page holds beyond SQLite's content, so that only one group differs.
  mutating func touch(page: Int) {
    pages[page][Limits.pageBytes - 33] ^= 1
    position.index += 1
  }

  /// The pages as a snapshot must give them back.
  var expectedPages: [UInt8] {
    var bytes = pages.flatMap { $0 }
    DatabaseChunkCoder.zeroReserved(&bytes)
    return bytes
  }
}

/// Keys of recordings, and a seal that stands for the real one: byte-wise XOR with a checksum, so that damage shows.
final class FakeRecordingKeys: RecordingOpener {
  private let keys = Lock<[RecordingID: UInt8]>([:])

  func make(_ id: RecordingID) { keys.with { $0[id] = UInt8(truncatingIfNeeded: id.bits) | 1 } }
  func destroy(_ id: RecordingID) { keys.with { $0[id] = nil } }
  func hasKey(_ id: RecordingID) -> Bool { keys.with { $0[id] != nil } }
  func name(ofChunk original: [UInt8]) -> [UInt8] { SHA256.hash(original) }

  func seal(_ original: [UInt8], number: Int, of id: RecordingID) -> [UInt8] {
    let key = keys.with { $0[id]! }
    return SHA256.hash(original + [UInt8(number)] + id.bytes) + original.map { $0 ^ key }
  }

  func open(_ sealed: ArraySlice<UInt8>, number: Int, count: Int, of id: RecordingID) -> OpenedChunk? {
    guard let key = keys.with({ $0[id] }), sealed.count >= 32 else { return nil }
    let original = sealed.dropFirst(32).map { $0 ^ key }
    guard SHA256.hash(original + [UInt8(number)] + id.bytes) == Array(sealed.prefix(32)) else { return nil }
    return OpenedChunk(original: original, coded: CodedChunk(stored: original))
  }
}

extension FakeAccount: SnapshotSource {
  func changes(since position: Position) async throws -> DatabaseChanges? { nil }

  var account: AccountID { id }
  var databasePages: Int { pages.count }

  func pages(from first: PageNumber, count: Int) async throws -> [UInt8] {
    pages[(Int(first) - 1)..<(Int(first) - 1 + count)].flatMap { $0 }
  }

  func recordings() async throws -> [SourceRecording] {
    recordings.map { id, chunks in
      SourceRecording(
        id: id, bytes: UInt64(chunks.reduce(0) { $0 + $1.count }), chunks: chunks.count,
        root: RecordingRoot.hash(chunks.map { recordingKeys.name(ofChunk: $0) }))
    }
  }

  func sealedChunk(_ number: Int, of recording: RecordingID) async throws -> [UInt8] {
    recordingKeys.seal(recordings[recording]![number], number: number, of: recording)
  }

  func keyringState() throws -> [UInt8] { Array("keyring of \(id)".utf8) }
}
