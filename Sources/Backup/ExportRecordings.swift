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
  private let checkpoint: () throws -> Void
  private(set) var count: UInt64 = 0
  private(set) var bytes: UInt64 = 0

  init(
    source: PinnedSource, chosen: RecordingChoice, packer: ExportPacker, disk: any Disk, spools: String,
    checkpoint: @escaping () throws -> Void
  ) throws {
    self.source = source
    self.chosen = chosen
    self.packer = packer
    self.checkpoint = checkpoint
    table = try ExportSpool(disk, spools + "recordings-csv")
    lines = try ExportSpool(disk, spools + "recordings-jsonl")
  }

  func write(_ advance: (Int) -> Void) throws {
    try table.write("key,path,bytes,md5,sha256,created,content_type\r\n")
    try chosen.forEach { row in
      let path = "recordings/" + SafePath.path(of: row.key, isDirectory: row.isDirectory)
      // Erased recordings have no key any more; the row may outlive it for a moment.
      guard try source.keyring.recordingKey(row.id) != nil else { return try list(row, nil, nil) }
      try list(row, path, try write(row, path, advance))
      count += 1
      bytes += row.bytes
    }
    try packer.add("recordings.csv", table)
    try packer.add("recordings.jsonl", lines)
  }

  private func write(_ row: RecordingChoice.Row, _ path: String, _ advance: (Int) -> Void) throws -> [UInt8] {
    let reader = try source.engine.recordingNow(source.account, row.id)
    guard UInt64(reader.size) == row.bytes else { throw damaged(row) }
    let md5 = Hasher(.md5)
    let hash = try packer.add(path, bytes: row.bytes, modified: row.createdAt) { put in
      var offset = 0
      while offset < reader.size {
        try checkpoint()
        let chunk = try reader.readNow(offset: offset, count: Limits.recordingChunkBytes)
        guard !chunk.isEmpty else { throw damaged(row) }
        md5.update(chunk)
        try put(chunk)
        offset += chunk.count
        advance(chunk.count)
      }
    }
    guard md5.finish() == row.md5 else { throw damaged(row) }
    return hash
  }

  private func damaged(_ row: RecordingChoice.Row) -> BackupError {
    BackupError(.damaged, "recording \(row.id) is not what its row says: verify the node's data, then export again")
  }

  private func list(_ row: RecordingChoice.Row, _ path: String?, _ hash: [UInt8]?) throws {
    let created = ExportTime.text(row.createdAt)
    try table.write(
      CSVText.row([
        .text(row.key), path.map { .text($0) } ?? .null, .integer(Int64(row.bytes)), .text(row.md5.hex),
        hash.map { .text($0.hex) } ?? .null, .text(created), .text(row.contentType),
      ]))
    let place = path.map { "\"path\":\(JSONText.quoted($0))" } ?? "\"erased\":true"
    let sum = hash.map { ",\"sha256\":\"\($0.hex)\"" } ?? ""
    try lines.write(
      "{\"key\":\(JSONText.quoted(row.key)),\(place),\"bytes\":\(row.bytes),\"md5\":\"\(row.md5.hex)\"\(sum),"
        + "\"created\":\"\(created)\",\"content_type\":\(JSONText.quoted(row.contentType))}\n")
  }
}
