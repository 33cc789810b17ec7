// Reads a finished pack: its header and list at once, frames one at a time. Everything is checked before it is used.

import Base
package import Disk
package import Formats

package final class PackFile: Sendable {
  package let path: String
  package let header: PackHeader
  private let file: any DiskFile

  /// Opens the pack and checks its header against whose archive it lies in.
  package init(disk: any Disk, layout: ArchiveLayout, id: PackID) throws(BackupError) {
    let path = layout.pack(id)
    let file = try onDisk { () throws(DiskError) in try disk.open(path, .read) }
    let bytes = try onDisk { () throws(DiskError) in try file.read(PackHeader.byteCount, at: 0) }
    let header = try decoding(path) { () throws(BytesError) in try PackHeader(decoding: bytes[...]) }
    guard header.account == layout.account, header.pack == id else {
      throw BackupError(.damaged, "the pack belongs to another archive or has another name", path: path, offset: 8)
    }
    self.path = path
    self.file = file
    self.header = header
  }

  /// What lies where.
  package func entries() throws(BackupError) -> [PackTrailer.Entry] { try Self.trailer(of: file, path: path).entries }

  /// The list of the pack in `file`, and where it begins.
  static func trailer(of file: any DiskFile, path: String) throws(BackupError) -> (
    entries: [PackTrailer.Entry], offset: Int
  ) {
    let size = Int(clamping: try onDisk { () throws(DiskError) in try file.size() })
    let footerAt = size - PackTrailer.footerBytes
    guard footerAt >= PackHeader.byteCount else {
      throw BackupError(.damaged, "the pack ends early", path: path, offset: size)
    }
    let footer = try onDisk { () throws(DiskError) in try file.read(PackTrailer.footerBytes, at: UInt64(footerAt)) }
    let offset = try decoding(path, base: footerAt) { () throws(BytesError) in
      try PackTrailer.offset(footer: footer, fileBytes: size)
    }
    let list = try onDisk { () throws(DiskError) in try file.read(footerAt - offset, at: UInt64(offset)) }
    let trailer = try decoding(path, base: offset) { () throws(BytesError) in
      try PackTrailer(decoding: list, at: offset)
    }
    return (trailer.entries, offset)
  }

  /// Up to so many bytes as they lie there.
  func read(_ count: Int, at offset: Int) throws(BackupError) -> [UInt8] {
    try onDisk { () throws(DiskError) in try file.read(count, at: UInt64(offset)) }
  }

  /// The same into the front of `bytes`, which is at least as long; gives how many there were.
  func read(_ count: Int, at offset: Int, into bytes: inout [UInt8]) throws(BackupError) -> Int {
    precondition(count <= bytes.count, "the buffer is too small")
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    var part = raw._mutatingExtracting(first: count)
    do throws(DiskError) { return try file.read(into: &part, at: UInt64(offset)) } catch { throw BackupError(error) }
  }

  /// The frame of `bytes` at `offset`, its checksum and name checked.
  package func frame(_ name: ChunkName, at offset: Int, bytes: Int) throws(BackupError) -> StoredFrame {
    let raw = try onDisk { () throws(DiskError) in try file.read(bytes, at: UInt64(offset)) }
    let frame = try decoding(path, base: offset) { () throws(BytesError) in try PackFrameHeader.open(frame: raw) }
    guard frame.header.name == name else {
      throw BackupError(.damaged, "another chunk lies here than the list says", path: path, offset: offset)
    }
    return StoredFrame(header: frame.header, body: frame.body, checksum: raw[(raw.count - 4)...])
  }
}
