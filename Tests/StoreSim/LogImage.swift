// A reader of the commit log's bytes that shares nothing with the engine's: what groups of records lie there.

import Base
import Disk
import Formats

struct LogImage: CustomStringConvertible {
  let header: LogFileHeader
  /// Of every whole group of the file's own generation.
  let records: [RecordHeader]

  /// Nil when the file was never used.
  init?(_ bytes: [UInt8]) {
    let block = Limits.logBlockBytes
    guard bytes.count >= block, let header = try? LogFileHeader(Array(bytes[..<block])) else { return nil }
    self.header = header
    records = Self.records(inFile: bytes, generation: header.generation)
  }

  var description: String { "generation \(header.generation): \(Self.list(records))" }

  static func list(_ records: [RecordHeader]) -> String {
    records.map { "\($0.account.bits >> 64): \($0.epoch).\($0.index)" }.joined(separator: ", ")
  }

  /// The records of the group that `bytes`, whole blocks, hold; empty when they are something else.
  static func records(inGroup bytes: [UInt8]) -> [RecordHeader] {
    guard !bytes.isEmpty, bytes.count % Limits.logBlockBytes == 0 else { return [] }
    let generation = LogBlock.generation(of: bytes[0..<Limits.logBlockBytes])
    var payload: [UInt8] = []
    for start in stride(from: 0, to: bytes.count, by: Limits.logBlockBytes) {
      let block = bytes[start..<(start + Limits.logBlockBytes)]
      guard case .block = LogBlock.read(block, generation: generation) else { return [] }
      payload += block.dropFirst(LogBlock.headerBytes)
    }
    return headers(payload)
  }

  private static func headers(_ payload: [UInt8]) -> [RecordHeader] {
    guard payload.count >= 4 else { return [] }
    let total = payload[..<4].reversed().reduce(0) { $0 << 8 | Int($1) }
    guard total <= payload.count, total > LogBlock.groupHeaderBytes else { return [] }
    var headers: [RecordHeader] = []
    var at = LogBlock.groupHeaderBytes
    while at < total, let header = try? RecordHeader(payload[at...]) {
      headers.append(header)
      at += header.frameBytes
    }
    return headers
  }

  private static func records(inFile bytes: [UInt8], generation: UInt64) -> [RecordHeader] {
    let block = Limits.logBlockBytes
    var found: [RecordHeader] = []
    var at = block
    while at + block <= bytes.count {
      guard case .block = LogBlock.read(bytes[at..<(at + block)], generation: generation) else {
        at += block
        continue
      }
      let start = at + LogBlock.headerBytes
      let total = bytes[start..<(start + 4)].reversed().reduce(0) { $0 << 8 | Int($1) }
      let count = max(1, (total + LogBlock.payloadBytes - 1) / LogBlock.payloadBytes) * block
      if total < 1 << 24, at + count <= bytes.count {
        let records = records(inGroup: Array(bytes[at..<(at + count)]))
        if !records.isEmpty {
          found += records
          at += count
          continue
        }
      }
      at += block
    }
    return found
  }
}
