// Bytes of recordings that a merge will name: which are needed, which are here still, and those that are not copied out of
// the archive, in the form in which they were coded.

import AtRest
import Base
import Formats
import OpenSSL
import SQLite
import ShardStore
import Threads

struct MergePreparation: Sendable {
  let source: MergeSource
  let request: MergeRequest
  let account: AccountID
  let engine: Engine

  /// Recordings that the live account does not have as they were, as far as can be seen before the transaction.
  func wanted() async throws -> [RecordingRow] {
    guard request.selection.hasRecordings else { return [] }
    let (source, request) = (source, request)
    return try await engine.read(account) { live in
      try source.query { old in
        let rows = MergeRecordingRows(selection: request.selection, old: old, live: live)
        var wanted: [RecordingRow] = []
        try rows.forEachChosen { old in
          switch try rows.relation(old) {
          case .equal: return
          case .differs where request.policy != .take: return
          case .missing, .differs: break
          }
          guard wanted.count < MergeLimits.recordingsMax else {
            throw RowSelection.refusal(
              "the patterns bring back more than \(MergeLimits.recordingsMax) recordings: choose fewer, in several merges"
            )
          }
          wanted.append(old)
        }
        return wanted
      }
    }.value
  }

  /// Notes what is here and what was erased; gives the others.
  func keep(_ wanted: [RecordingRow], _ bytes: inout MergedBytes) async throws -> [RecordingRow] {
    let (source, account, engine) = (source, account, engine)
    let unknown = wanted.filter { row in !bytes.knows(row.id) }
    guard !unknown.isEmpty else { return [] }
    let (kept, erased) = try await BackupWork.perform {
      var erased: Set<RecordingID> = []
      for row in unknown {
        guard source.reader.recordings.hasKey(row.id), try engine.hasRecordingKey(account, row.id) else {
          erased.insert(row.id)
          continue
        }
      }
      let there = unknown.map(\.id).filter { !erased.contains($0) }
      let missing = Set(try engine.keepRecordings(account, there))
      return (Set(there).subtracting(missing), erased)
    }
    bytes.kept.formUnion(kept)
    bytes.erased.formUnion(erased)
    return unknown.filter { !kept.contains($0.id) && !erased.contains($0.id) }
  }

  /// Copies the bytes of recordings out of the archive.
  func copy(
    _ rows: [RecordingRow], _ bytes: inout MergedBytes, progress: @escaping @Sendable (Double) -> Void
  ) async throws {
    let (source, account, engine) = (source, account, engine)
    let meter = ProgressMeter(total: Double(rows.reduce(0) { $0 + $1.bytes }), progress)
    let known = bytes.stored
    let found = try await BackupWork.perform {
      let stored = Lock(known)
      var seen: Set<RecordingID> = []
      let each = rows.filter { seen.insert($0.id).inserted }
      try BackupWork.forEach(each.count) { i in
        let row = each[i]
        let one = try Self.copy(row, source, account, engine, meter)
        stored.with { $0[row.id] = one }
      }
      return stored.with { $0 }
    }
    bytes.stored = found
  }

  private static func copy(
    _ row: RecordingRow, _ source: MergeSource, _ account: AccountID, _ engine: Engine, _ meter: ProgressMeter
  ) throws -> StoredRecording {
    let recording = ManifestBody.Recording(
      id: row.id, bytes: UInt64(row.bytes), chunks: row.chunkNames.count,
      root: RecordingRoot.hash([row.chunkNames.flatMap { $0 }]))
    var number = 0
    let stored = try engine.storeCoded(account) {
      guard number < row.chunkNames.count else { return nil }
      let chunk = try source.reader.opened(number, of: recording)
      guard source.reader.recordings.name(ofChunk: chunk.original) == row.chunkNames[number] else {
        throw BackupError(.damaged, "recording \(row.id) is not what its row says")
      }
      number += 1
      meter.advance(chunk.original.count)
      return (chunk.original, chunk.coded)
    }
    guard stored.md5 == row.md5, stored.bytes == row.bytes else {
      throw BackupError(.damaged, "recording \(row.id) is not what its row says")
    }
    return stored
  }
}
