// Checks a pack without keys: header, list, and every frame; each byte of the file lies under one checksum or another.
//
// When the list is damaged the frames are walked from the front, so that as much as possible is still said.

import Base
import Disk
import Formats

struct PackCheck {
  let file: any DiskFile
  private var path: String { file.path }

  init(file: any DiskFile) { self.file = file }

  func run(_ report: inout VerifyReport) throws(BackupError) {
    let size = Int(clamping: try onDisk { () throws(DiskError) in try file.size() })
    do throws(BackupError) {
      let bytes = try read(PackHeader.byteCount, at: 0)
      let header = try decoding(path) { () throws(BytesError) in try PackHeader(decoding: bytes[...]) }
      if !path.hasSuffix("/\(header.pack)\(ArchiveLayout.packSuffix)") {
        report.damage(path, at: 24, bytes: 16, "the pack's id is not the one in its name")
      }
    } catch { report.note(error, in: path) }
    do throws(BackupError) {
      let (entries, _) = try PackFile.trailer(of: file, path: path)
      for entry in entries { try check(entry, &report) }
    } catch {
      report.note(error, in: path)
      try walk(size, &report)
    }
  }

  private func check(_ entry: PackTrailer.Entry, _ report: inout VerifyReport) throws(BackupError) {
    let bytes = try read(entry.bytes, at: entry.offset)
    do throws(BytesError) {
      let (header, _) = try PackFrameHeader.open(frame: bytes)
      report.units += 1
      if header.name != entry.name {
        report.damage(path, at: entry.offset, bytes: entry.bytes, "another chunk lies here than the list says")
      }
    } catch { report.damage(path, at: entry.offset, bytes: entry.bytes, error.message) }
  }

  private func walk(_ size: Int, _ report: inout VerifyReport) throws(BackupError) {
    var offset = PackHeader.byteCount
    while offset + PackFrameHeader.overhead <= size {
      let head = try read(PackFrameHeader.byteCount, at: offset)
      guard let header = try? PackFrameHeader(decoding: head[...]), offset + header.frameBytes <= size else { return }
      try check(.init(name: header.name, offset: offset, bytes: header.frameBytes), &report)
      offset += header.frameBytes
    }
  }

  private func read(_ count: Int, at offset: Int) throws(BackupError) -> [UInt8] {
    try onDisk { () throws(DiskError) in try file.read(count, at: UInt64(offset)) }
  }
}
