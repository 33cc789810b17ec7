// Records of the simulation: real frames whose content is small. A record changes one page of a few, as the difference to
// a version that it names, or names recordings, or begins an epoch.

import Base
import Formats

enum SimulatedRecord {
  struct Change: Equatable {
    var page: UInt8
    /// Index of the version that the difference starts from; 0 for zeros.
    var base: LogIndex
    var difference: UInt64
    var result: UInt64
  }

  static let pages = 6

  /// `id` makes every record another one.
  static func make(
    _ kind: RecordKind, behind last: Position, in account: AccountID, epoch: Epoch, continues: Bool,
    commit: LogIndex, id: UInt64, change: Change? = nil, recordings: [RecordingID] = []
  ) -> SealedRecord {
    var w = ByteWriter(capacity: 48)
    if kind == .recordings {
      w.put(raw: RecordingsPayload(ids: recordings).encode())
    } else {
      w.put(id)
      if let change {
        w.put(change.page)
        w.put(change.base)
        w.put(change.difference)
        w.put(change.result)
      }
    }
    func header(_ checksum: Checksum) -> RecordHeader {
      RecordHeader(
        kind: kind, continues: continues, account: account, epoch: epoch, index: last.index + 1, commitIndex: commit,
        time: Int64(last.index + 1), payloadBytes: w.bytes.count, nonce: [UInt8](repeating: 0, count: 12),
        previous: last.checksum, checksum: checksum)
    }
    let covered = Array(header(.zero).encode()[..<RecordHeader.checkedPrefix]) + w.bytes
    let high = XXH64.hash(covered)
    let low = XXH64.hash([1] + covered)
    let full = header(Checksum(bits: UInt128(high) << 64 | UInt128(low)))
    return SealedRecord(header: full, frame: full.encode() + w.bytes)
  }

  static func change(_ record: SealedRecord) -> Change? {
    guard record.header.kind == .pages else { return nil }
    var r = ByteReader(record.frame[(RecordHeader.byteCount + 8)...])
    guard let page: UInt8 = try? r.take(), let base: UInt64 = try? r.take(), let difference: UInt64 = try? r.take(),
      let result: UInt64 = try? r.take()
    else { return nil }
    return Change(page: page, base: base, difference: difference, result: result)
  }

  static func recordings(_ record: SealedRecord) -> [RecordingID] {
    guard record.header.kind == .recordings else { return [] }
    return (try? RecordingsPayload(Array(record.frame[RecordHeader.byteCount...])))?.ids ?? []
  }
}
