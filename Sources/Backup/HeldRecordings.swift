// The ids of all recordings that an export and those before it hold, sorted, in a file beside it (`held.ids`): what the
// next export of a chain leaves out. Looked up on disk, so that memory does not grow with it.

import Base
import Disk
import Formats
import OpenSSL

struct HeldRecordings {
  static let fileName = "held.ids"
  let header: ExportHeldHeader
  private let file: any DiskFile

  /// Opens the list and checks all of it.
  init(_ disk: any Disk, _ path: String) throws(BackupError) {
    let file = try onDisk { () throws(DiskError) in try disk.open(path, .read) }
    let size = try onDisk { () throws(DiskError) in try file.size() }
    let front = try onDisk { () throws(DiskError) in try file.read(ExportHeldHeader.byteCount, at: 0) }
    header = try decoding(path) { () throws(BytesError) in try ExportHeldHeader(decoding: front, fileBytes: size) }
    self.file = file
    let end = size - UInt64(ExportHeldHeader.hashBytes)
    let hasher = Hasher(.sha256)
    hasher.update(front)
    var last: [UInt8] = []
    var at = UInt64(ExportHeldHeader.byteCount)
    while at < end {
      let piece = try read(min(64 << 10, Int(end - at)), at: at)
      hasher.update(piece)
      for start in stride(from: 0, to: piece.count, by: ExportHeldHeader.idBytes) {
        let id = Array(piece[start..<(start + ExportHeldHeader.idBytes)])
        guard last.isEmpty || last.lexicographicallyPrecedes(id) else {
          throw BackupError(.damaged, "the list is not in order", path: path, offset: Int(at) + start)
        }
        last = id
      }
      at += UInt64(piece.count)
    }
    guard hasher.finish() == (try read(ExportHeldHeader.hashBytes, at: end)) else {
      throw BackupError(.damaged, "the checksum of the list does not match", path: path, offset: Int(end))
    }
  }

  func contains(_ id: RecordingID) throws(BackupError) -> Bool {
    let wanted = id.bytes
    var (low, high) = (UInt64(0), header.count)
    while low < high {
      let middle = (low + high) / 2
      let found = try read(
        ExportHeldHeader.idBytes,
        at: UInt64(ExportHeldHeader.byteCount) + middle * UInt64(ExportHeldHeader.idBytes))
      if found == wanted { return true }
      if found.lexicographicallyPrecedes(wanted) { low = middle + 1 } else { high = middle }
    }
    return false
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
  static func write(
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
