// Restores in place in an account's random life: what was restored is a commit of the model like any other.

import AtRest
import Backup
import Base
import Disk
import Formats
import SQLite
import ShardStore
import Testing

extension MomentWorld {
  func request(_ state: ArchivedState, _ id: UInt8, undoes: [UInt8]? = nil) -> InPlaceRequest {
    InPlaceRequest(
      state, id: [UInt8](repeating: id, count: 16), unlockedBy: .keyEncryption(store.kek), undoes: undoes)
  }

  /// Restores in place and notes in the model that the account is now `expected`.
  @discardableResult
  func inPlace(_ request: InPlaceRequest, expecting expected: AccountContent) async throws -> InPlaceReport {
    let report = try await archive.restoreInPlace(request, in: store.engine)
    // Its own record: what is published with it may go further, a checkpoint's mark for example.
    let before = try #require(report.before)
    let found = try await store.engine.publishedRecords(Self.account, from: before.index + 1, bytesMax: 1 << 30)
    let record = try #require(found?.records.first { $0.header.kind == .pages && !$0.header.continues })
    #expect(try record.position.index <= #require(report.position).index)
    content = expected
    commits.append(Commit(time: record.header.time, position: record.position, content: expected))
    return report
  }

  /// What the account holds now is what the model says, and SQLite and the engine agree.
  func check(_ what: String) async throws {
    #expect(try await store.content(Self.account) == content, "\(what)")
    let integrity = try await store.engine.read(Self.account) { try $0.query("PRAGMA integrity_check") }.value
    #expect(integrity == [[.text("ok")]], "\(what)")
  }

  func entry(_ id: UInt8) async throws -> ReplacementEntry {
    let name = [UInt8](repeating: id, count: 16)
    return try #require(
      try await store.engine.read(Self.account) { try ReplaceCatalog.entry($0, id: name) }.value)
  }

  /// The bytes of recordings that no row names go, as they do when the archive's window has passed.
  func collect() async throws {
    try await archive.archiveLog(of: store.engine)
    clock.advance(microseconds: 1_000)
    _ = try await store.engine.collectRecordings(Self.account, grace: .zero, keepDeleted: .zero)
  }
}
