// The recordings of an export: each in its original bytes under a path made from its key, and the two lists that say
// which is which.

import AtRest
import Base
import Disk
import Formats
import OpenSSL
import SQLite
import ShardStore

final class ExportRecordings {
  private let source: PinnedSource
  private let chosen: RecordingChoice
  private let packer: ExportPacker
  private let table: ExportSpool
  private let lines: ExportSpool
  private let disk: any Disk
  private let spools: String
  private let asFLAC: Bool
  private let checkpoint: () throws -> Void
  private(set) var count: UInt64 = 0
  private(set) var bytes: UInt64 = 0

  init(
    source: PinnedSource, chosen: RecordingChoice, packer: ExportPacker, disk: any Disk, spools: String,
    asFLAC: Bool, checkpoint: @escaping () throws -> Void
  ) throws {
    self.source = source
    self.chosen = chosen
    self.packer = packer
    self.disk = disk
    self.spools = spools
    self.asFLAC = asFLAC
    self.checkpoint = checkpoint
    table = try ExportSpool(disk, spools + "recordings-csv")
    lines = try ExportSpool(disk, spools + "recordings-jsonl")
  }

  func write(_ advance: (Int) -> Void) throws {
    try table.write("key,path,bytes,md5,sha256,created,content_type,audio\r\n")
    try chosen.forEach { row in
      let path = "recordings/" + SafePath.path(of: row.key, isDirectory: row.isDirectory)
      // Erased recordings have no key any more; the row may outlive it for a moment.
      guard try source.keyring.recordingKey(row.id) != nil else { return try list(row, nil) }
      try list(row, try write(row, path, advance))
      count += 1
      bytes += row.bytes
    }
    try packer.add("recordings.csv", table)
    try packer.add("recordings.jsonl", lines)
  }

  /// Where a recording lies, and the SHA-256 of its original bytes.
  private struct Stored {
    var path: String
    var hash: [UInt8]
    var isFLAC: Bool
  }

  private func write(_ row: RecordingChoice.Row, _ path: String, _ advance: (Int) -> Void) throws -> Stored {
    let reader = try source.engine.recordingNow(source.account, row.id)
    guard UInt64(reader.size) == row.bytes else { throw damaged(row) }
    if asFLAC, let stored = try writeFLAC(row, reader, path, advance) { return stored }
    let hash = try packer.add(path, bytes: row.bytes, modified: row.createdAt) { put in
      try read(row, reader) { chunk, _ in
        try put(chunk)
        advance(chunk.count)
        return true
      }
    }
    return Stored(path: path, hash: hash, isFLAC: false)
  }

  /// Nil for a recording that is no plain WAV file, or that libFLAC does not give back as it was. The path gets an ending
  /// that no key has: "~" is always escaped.
  private func writeFLAC(
    _ row: RecordingChoice.Row, _ reader: RecordingReader, _ path: String, _ advance: (Int) -> Void
  ) throws -> Stored? {
    let front = try reader.readNow(offset: 0, count: FLACFile.Shape.headerBytes)
    guard let shape = FLACFile.Shape(front: front, fileBytes: reader.size), let encoder = FLACFile(shape) else {
      return nil
    }
    let spool = try ExportSpool(disk, spools + "audio")
    defer { try? spool.remove() }
    let original = Hasher(.sha256)
    let isWhole = try read(row, reader) { chunk, offset in
      original.update(chunk)
      let samples = offset == 0 ? Array(chunk.dropFirst(FLACFile.Shape.headerBytes)) : chunk
      guard let frames = encoder.update(samples) else { return false }
      try spool.write(frames)
      return true
    }
    guard isWhole, let end = encoder.finish() else { return nil }
    try spool.write(end.tail)
    _ = try spool.finish()
    let target = path + "~.flac"
    try packer.add(target, bytes: UInt64(end.head.count) + spool.bytes, modified: row.createdAt) { put in
      try put(end.head)
      try spool.read(put)
    }
    advance(reader.size)
    return Stored(path: target, hash: original.finish(), isFLAC: true)
  }

  /// Chunk by chunk until `body` says no. Each chunk's seal binds it to the recording, to its number and to whether it is
  /// the last, so what is read is what was uploaded.
  @discardableResult
  private func read(
    _ row: RecordingChoice.Row, _ reader: RecordingReader, _ body: ([UInt8], Int) throws -> Bool
  ) throws -> Bool {
    var offset = 0
    while offset < reader.size {
      try checkpoint()
      let chunk = try reader.readNow(offset: offset, count: Limits.recordingChunkBytes)
      guard !chunk.isEmpty else { throw damaged(row) }
      guard try body(chunk, offset) else { return false }
      offset += chunk.count
    }
    return true
  }

  private func damaged(_ row: RecordingChoice.Row) -> BackupError {
    BackupError(.damaged, "recording \(row.id) is not what its row says: verify the node's data, then export again")
  }

  private func list(_ row: RecordingChoice.Row, _ stored: Stored?) throws {
    let created = RFC3339.text(row.createdAt)
    let audio = stored?.isFLAC == true ? "flac" : "original"
    try table.write(
      CSVText.row([
        .text(row.key), stored.map { .text($0.path) } ?? .null, .integer(Int64(row.bytes)), .text(row.md5.hex),
        stored.map { .text($0.hash.hex) } ?? .null, .text(created), .text(row.contentType),
        stored == nil ? .null : .text(audio),
      ]))
    let place = stored.map { "\"path\":\(JSONText.quoted($0.path)),\"audio\":\"\(audio)\"" } ?? "\"erased\":true"
    let sum = stored.map { ",\"sha256\":\"\($0.hash.hex)\"" } ?? ""
    try lines.write(
      "{\"key\":\(JSONText.quoted(row.key)),\(place),\"bytes\":\(row.bytes),\"md5\":\"\(row.md5.hex)\"\(sum),"
        + "\"created\":\"\(created)\",\"content_type\":\(JSONText.quoted(row.contentType))}\n")
  }
}
