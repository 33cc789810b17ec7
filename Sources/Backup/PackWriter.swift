// Writes one pack: header, frames as they come, list, footer; then sync and rename, so that a pack which has its name
// is whole. Written with direct I/O in large pieces; a pack is never read before it is finished.
//
// Whoever uses it syncs the directory before anything refers to the pack's chunks.

import Base
package import Disk
package import Formats
import OpenSSL

package final class PackWriter {
  package let id: PackID
  private let disk: any Disk
  private let path: String
  private let unfinished: String
  private let file: any DiskFile
  private let buffer = DiskBuffer(capacity: PackWriter.pieceBytes)
  /// Bytes that are on disk already.
  private var written = 0
  private var entries: [PackTrailer.Entry] = []
  private var names: Set<ChunkName> = []
  private var isFinished = false

  /// A multiple of every block size.
  static let pieceBytes = 1 << 20

  /// `directory` is where it lies while it is not finished; below the archive.
  package init(disk: any Disk, layout: ArchiveLayout, id: PackID, in directory: String? = nil) throws(BackupError) {
    self.id = id
    self.disk = disk
    path = layout.pack(id)
    let unfinished =
      "\(directory ?? layout.packs)/\(id)\(ArchiveLayout.packSuffix)\(ArchiveLayout.unfinishedSuffix)"
    self.unfinished = unfinished
    file = try onDisk { () throws(DiskError) in try disk.open(unfinished, .create, direct: true) }
    try append(PackHeader(account: layout.account, pack: id).encode())
  }

  /// Bytes so far, without the list.
  package var bytes: Int { written + buffer.count }
  package var chunks: Int { entries.count }
  package func contains(_ name: ChunkName) -> Bool { names.contains(name) }

  /// Appends a whole frame whose chunk is not in this pack yet.
  package func add(frame: [UInt8], name: ChunkName) throws(BackupError) {
    let isNew = names.insert(name).inserted
    precondition(isNew, "a chunk comes once into a pack")
    entries.append(.init(name: name, offset: bytes, bytes: frame.count))
    try append(frame)
  }

  /// Makes the pack durable under its name (but not yet the name) and gives what lies where.
  package func finish() throws(BackupError) -> [PackTrailer.Entry] {
    precondition(!isFinished, "a pack is finished once")
    try append(PackTrailer(entries: entries).encode(at: bytes))
    let total = bytes
    do throws(DiskError) {
      if buffer.count > 0 {
        buffer.pad(to: DiskBuffer.alignment)
        try file.write(buffer, at: UInt64(written))
        buffer.clear()
      }
      try file.truncate(to: UInt64(total))
      try file.sync()
      try disk.rename(unfinished, to: path)
    } catch { throw BackupError(error) }
    isFinished = true
    return entries
  }

  /// Forgets what was not finished; it was never part of the archive.
  package func abandon() {
    guard !isFinished else { return }
    try? disk.remove(unfinished)
  }

  private func append(_ bytes: [UInt8]) throws(BackupError) {
    var start = 0
    while start < bytes.count {
      let piece = min(bytes.count - start, Self.pieceBytes - buffer.count)
      buffer.append(bytes.span.bytes.extracting(start..<(start + piece)))
      start += piece
      guard buffer.count == Self.pieceBytes else { continue }
      let at = UInt64(written)
      try onDisk { () throws(DiskError) in try file.write(buffer, at: at) }
      written += Self.pieceBytes
      buffer.clear()
    }
  }
}
