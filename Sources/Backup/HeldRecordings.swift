// The ids of all recordings that an export and those before it hold, sorted, in a file beside it (`held.ids`): what the
// next export of a chain leaves out. Looked up on disk, with the first id of each block in memory: a kilobyte for some
// 16,000 recordings. Used by one thread at a time.

package import Base
package import Disk
package import Formats
import OpenSSL

package final class HeldRecordings {
  static let fileName = "held.ids"
  package let header: ExportHeldHeader
  private let file: any DiskFile
  private static let blockIDs = 256
  private var firsts: [UInt128] = []
  /// The block that was looked at last: whoever asks in order reads each block once.
  private var block: (number: Int, ids: [UInt128]) = (-1, [])

  /// Opens the list and checks all of it.
  package init(_ disk: any Disk, _ path: String) throws(BackupError) {
    let file = try onDisk { () throws(DiskError) in try disk.open(path, .read) }
    let size = try onDisk { () throws(DiskError) in try file.size() }
    let front = try onDisk { () throws(DiskError) in try file.read(ExportHeldHeader.byteCount, at: 0) }
    header = try decoding(path) { () throws(BytesError) in try ExportHeldHeader(decoding: front, fileBytes: size) }
    self.file = file
    let end = size - UInt64(ExportHeldHeader.hashBytes)
    let hasher = Hasher(.sha256)
    hasher.update(front)
    var last: UInt128?
    for number in 0..<blocks {
      let bytes = try read(block: number)
      hasher.update(bytes)
      let ids = Self.ids(bytes)
      for (i, id) in ids.enumerated() {
        if let last, id <= last {
          let offset = place(of: number) + UInt64(i * ExportHeldHeader.idBytes)
          throw BackupError(.damaged, "the list is not in order", path: path, offset: Int(offset))
        }
        last = id
      }
      firsts.append(ids[0])
    }
    guard hasher.finish() == (try read(ExportHeldHeader.hashBytes, at: end)) else {
      throw BackupError(.damaged, "the checksum of the list does not match", path: path, offset: Int(end))
    }
  }

  package func contains(_ id: RecordingID) throws(BackupError) -> Bool {
    // The last block whose first id is not greater.
    var (low, high) = (0, firsts.count)
    while low < high {
      let middle = (low + high) / 2
      if firsts[middle] <= id.bits { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { return false }
    if block.number != low - 1 { block = (low - 1, Self.ids(try read(block: low - 1))) }
    var (from, to) = (0, block.ids.count)
    while from < to {
      let middle = (from + to) / 2
      if block.ids[middle] < id.bits { from = middle + 1 } else { to = middle }
    }
    return from < block.ids.count && block.ids[from] == id.bits
  }

  private var blocks: Int { (Int(header.count) + Self.blockIDs - 1) / Self.blockIDs }

  private func place(of block: Int) -> UInt64 {
    UInt64(ExportHeldHeader.byteCount + block * Self.blockIDs * ExportHeldHeader.idBytes)
  }

  private func read(block: Int) throws(BackupError) -> [UInt8] {
    let ids = min(Self.blockIDs, Int(header.count) - block * Self.blockIDs)
    return try read(ids * ExportHeldHeader.idBytes, at: place(of: block))
  }

  private static func ids(_ bytes: [UInt8]) -> [UInt128] {
    stride(from: 0, to: bytes.count, by: ExportHeldHeader.idBytes).map { start in
      bytes[start..<(start + ExportHeldHeader.idBytes)].reduce(0) { $0 << 8 | UInt128($1) }
    }
  }

  private func read(_ count: Int, at offset: UInt64) throws(BackupError) -> [UInt8] {
    let file = file
    let bytes = try onDisk { () throws(DiskError) in try file.read(count, at: offset) }
    guard bytes.count == count else {
      throw BackupError(.damaged, "the list ends early", path: file.path, offset: Int(offset))
    }
    return bytes
  }

  /// Writes the list; `each` calls its argument with ids in rising order, `header.count` of them.
  package static func write(
    _ disk: any Disk, _ path: String, _ header: ExportHeldHeader, _ each: ((RecordingID) throws -> Void) throws -> Void
  ) throws {
    let file = try disk.open(path, .create)
    let hasher = Hasher(.sha256)
    var waiting = header.encode()
    var offset: UInt64 = 0
    func flush() throws {
      try file.write(waiting, at: offset)
      offset += UInt64(waiting.count)
      waiting.removeAll(keepingCapacity: true)
    }
    hasher.update(waiting)
    try each { id in
      hasher.update(id.bytes)
      waiting += id.bytes
      if waiting.count >= 64 << 10 { try flush() }
    }
    waiting += hasher.finish()
    try flush()
    try file.sync()
  }
}
