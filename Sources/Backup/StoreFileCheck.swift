// Checks a single file of an account's or a node's data without keys, when it lies somewhere by itself: what its own
// checksums and chain say. In its data directory the store's verifier says more.

import Base
import Disk
import Formats
import OpenSSL

struct StoreFileCheck {
  let file: any DiskFile
  let size: Int
  private var path: String { file.path }
  private static let fileBytesMax = 1 << 31

  init(file: any DiskFile, size: Int) {
    self.file = file
    self.size = size
  }

  /// Header, then the chain of records to the end of the file.
  func segment(_ report: inout VerifyReport) throws(BackupError) {
    let bytes = try all()
    let header = try parsing { () throws(FormatError) in
      guard bytes.count >= SegmentHeader.byteCount else { throw FormatError(.truncated, "the segment ends early") }
      return try SegmentHeader(Array(bytes.prefix(SegmentHeader.byteCount)))
    }
    var (previous, index) = (header.previous, header.firstIndex)
    var rest = bytes.dropFirst(SegmentHeader.byteCount)
    while !rest.isEmpty {
      let at = rest.startIndex
      let record = try parsing(at) { () throws(FormatError) in
        let record = try RecordHeader(rest.prefix(RecordHeader.byteCount))
        guard rest.count >= record.frameBytes else { throw FormatError(.truncated, "the last record ends early") }
        guard record.account == header.account, record.index == index, record.previous == previous,
          Self.checksum(rest.prefix(record.frameBytes)) == record.checksum
        else { throw FormatError(.damaged, "the record is not what was written, or does not follow the one before") }
        return record
      }
      report.units += 1
      (previous, index) = (record.checksum, index + 1)
      rest = rest.dropFirst(record.frameBytes)
    }
  }

  private static func checksum(_ frame: ArraySlice<UInt8>) -> Checksum {
    let covered = Array(frame.prefix(RecordHeader.checkedPrefix)) + frame.dropFirst(RecordHeader.byteCount)
    return Checksum(bits: SHA256.hash(covered)[..<16].reversed().reduce(0) { $0 << 8 | UInt128($1) })
  }

  /// Header, then entries to the end of the file.
  func volume(_ report: inout VerifyReport) throws(BackupError) {
    let head = try read(VolumeHeader.byteCount, at: 0)
    _ = try parsing { () throws(FormatError) in try VolumeHeader(head) }
    var at = VolumeHeader.byteCount
    while at < size {
      let front = try read(ChunkHeader.byteCount, at: at)
      let header = try parsing(at) { () throws(FormatError) in try ChunkHeader(front: front[...]) }
      let entry = try read(header.frameBytes + VolumeEntry.checksumBytes, at: at)
      do throws(BackupError) {
        _ = try parsing(at) { () throws(FormatError) in
          guard entry.count == header.frameBytes + VolumeEntry.checksumBytes else {
            throw FormatError(.truncated, "the last chunk ends early")
          }
          return try VolumeEntry.decode(entry)
        }
        report.units += 1
      } catch { report.damage(path, at: at, bytes: entry.count, error.message) }
      at += entry.count
    }
  }

  /// Both slots; one that is whole serves.
  func redoSlots(_ report: inout VerifyReport) throws(BackupError) {
    var broken: [Int] = []
    for start in [0, RedoSlot.spacing] {
      let bytes = try read(RedoSlot.byteCount, at: start)
      if (try? RedoSlot(bytes)) == nil { broken.append(start) } else { report.units += 1 }
    }
    for start in broken {
      if broken.count == 2 {
        report.damage(path, at: start, bytes: RedoSlot.byteCount, "the slot is not whole, nor is the other")
      } else {
        report.mendable(path, at: start, bytes: RedoSlot.byteCount, "the slot is not whole; the other one serves")
      }
    }
  }

  /// Header and the blocks of its generation.
  func commitLog(_ report: inout VerifyReport) throws(BackupError) {
    let head = try read(Limits.logBlockBytes, at: 0)
    let header = try parsing { () throws(FormatError) in try LogFileHeader(head) }
    var at = Limits.logBlockBytes
    let piece = Limits.logBlockBytes * 2048
    while at < size {
      let bytes = try read(piece, at: at)
      for start in stride(from: 0, to: bytes.count - Limits.logBlockBytes + 1, by: Limits.logBlockBytes) {
        switch LogBlock.read(bytes[start..<(start + Limits.logBlockBytes)], generation: header.generation) {
        case .block: report.units += 1
        case .foreign: break
        case .damaged:
          report.damage(path, at: at + start, bytes: Limits.logBlockBytes, "the block does not match its checksum")
        }
      }
      at += bytes.count
      if bytes.count < piece { break }
    }
  }

  private func all() throws(BackupError) -> [UInt8] {
    guard size <= Self.fileBytesMax else { throw BackupError(.damaged, "the file is too long", path: path, offset: 0) }
    return try read(size, at: 0)
  }

  private func read(_ count: Int, at offset: Int) throws(BackupError) -> [UInt8] {
    try onDisk { () throws(DiskError) in try file.read(count, at: UInt64(offset)) }
  }

  private func parsing<T>(_ base: Int = 0, _ body: () throws(FormatError) -> T) throws(BackupError) -> T {
    do { return try body() } catch {
      throw BackupError(.damaged, error.message, path: path, offset: base + error.offset)
    }
  }
}
