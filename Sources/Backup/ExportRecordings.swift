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
  private let audio: ExportAudio?
  private let checkpoint: @Sendable () throws -> Void
  private(set) var count: UInt64 = 0
  private(set) var bytes: UInt64 = 0

  init(
    source: PinnedSource, chosen: RecordingChoice, packer: ExportPacker, disk: any Disk, spools: String,
    asFLAC: Bool, checkpoint: @escaping @Sendable () throws -> Void
  ) throws {
    self.source = source
    self.chosen = chosen
    self.packer = packer
    self.checkpoint = checkpoint
    audio = asFLAC ? ExportAudio(source: source, disk: disk, spools: spools, checkpoint: checkpoint) : nil
    table = try ExportSpool(disk, spools + "recordings-csv")
    lines = try ExportSpool(disk, spools + "recordings-jsonl")
  }

  func write(_ advance: (Int) -> Void) throws {
    try table.write("key,path,bytes,md5,sha256,created,content_type,audio\r\n")
    if let audio {
      try writeAudio(audio, advance)
    } else {
      try chosen.forEach { row in
        // Erased recordings have no key any more; the row may outlive it for a moment.
        guard try source.keyring.recordingKey(row.id) != nil else { return try list(row, nil) }
        try add(row, nil, advance)
      }
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

  /// As FLAC where that is possible. Rows wait beside what becomes of them.
  private func writeAudio(_ audio: ExportAudio, _ advance: (Int) -> Void) throws {
    let ahead = ExportAhead<ExportAudio.Encoded?>()
    defer { ahead.close() }
    var rows: [RecordingChoice.Row] = []
    func addFirst() throws {
      let encoded = try ahead.take()
      try add(rows.removeFirst(), encoded, advance)
    }
    try chosen.forEach { row in
      if ahead.count == ExportAhead<ExportAudio.Encoded?>.depth { try addFirst() }
      let (id, bytes) = (row.id, row.bytes)
      guard try source.keyring.recordingKey(id) != nil else {
        while ahead.count > 0 { try addFirst() }
        return try list(row, nil)
      }
      rows.append(row)
      ahead.begin { try audio.encode(id, bytes: bytes) }
    }
    while ahead.count > 0 { try addFirst() }
  }

  private func add(
    _ row: RecordingChoice.Row, _ encoded: ExportAudio.Encoded?, _ advance: (Int) -> Void
  ) throws {
    let path = "recordings/" + SafePath.path(of: row.key, isDirectory: row.isDirectory)
    try list(row, try encoded.map { try writeFLAC(row, $0, path, advance) } ?? write(row, path, advance))
    count += 1
    bytes += row.bytes
  }

  private func write(_ row: RecordingChoice.Row, _ path: String, _ advance: (Int) -> Void) throws -> Stored {
    let reader = try source.engine.recordingNow(source.account, row.id)
    guard UInt64(reader.size) == row.bytes else { throw Self.damaged(row.id) }
    let hash = try packer.add(path, bytes: row.bytes, modified: row.createdAt) { put in
      try Self.read(row.id, reader, checkpoint) { chunk, _ in
        try put(chunk)
        advance(chunk.count)
        return true
      }
    }
    return Stored(path: path, hash: hash, isFLAC: false)
  }

  /// The path gets an ending that no key has: "~" is always escaped.
  private func writeFLAC(
    _ row: RecordingChoice.Row, _ encoded: ExportAudio.Encoded, _ path: String, _ advance: (Int) -> Void
  ) throws -> Stored {
    let target = path + "~.flac"
    try packer.add(target, bytes: encoded.bytes, modified: row.createdAt) { put in try encoded.read(put) }
    try encoded.remove()
    advance(Int(row.bytes))
    return Stored(path: target, hash: encoded.hash, isFLAC: true)
  }

  /// Chunk by chunk until `body` says no. Each chunk's seal binds it to the recording, to its number and to whether it is
  /// the last, so what is read is what was uploaded.
  @discardableResult
  static func read(
    _ recording: RecordingID, _ reader: RecordingReader, _ checkpoint: () throws -> Void,
    _ body: ([UInt8], Int) throws -> Bool
  ) throws -> Bool {
    var offset = 0
    while offset < reader.size {
      try checkpoint()
      let chunk = try reader.readNow(offset: offset, count: Limits.recordingChunkBytes)
      guard !chunk.isEmpty else { throw damaged(recording) }
      guard try body(chunk, offset) else { return false }
      offset += chunk.count
    }
    return true
  }

  static func damaged(_ id: RecordingID) -> BackupError {
    BackupError(.damaged, "recording \(id) is not what its row says: verify the node's data, then export again")
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
