// A finished export as a reader gets it, out of the seal that it has on the disk; at any place, so that a get resumes.

import AtRest
import Base
import Disk
import OpenSSL

package struct ExportFile: Sendable {
  package var byteCount: UInt64 { reader.byteCount }
  private let file: any DiskFile
  private let reader: AgeReader

  init(_ file: any DiskFile, _ info: ExportInfo, _ owner: SecretBytes) throws(BackupError) {
    self.file = file
    let front = try onDisk { () throws(DiskError) in try file.read(AgeReader.frontBytes, at: 0) }
    do throws(AtRestError) {
      reader = try AgeReader(front: front, fileBytes: info.storedBytes, identity: owner)
    } catch { throw BackupError(error, path: file.path) }
    guard reader.byteCount == info.bytes else {
      throw BackupError(.damaged, "the export is not as long as its description says", path: file.path)
    }
  }

  /// At most `count` bytes from `offset` on; none behind the end. `.damaged` when they are not those that were written.
  /// Blocks.
  package func read(_ count: Int, at offset: UInt64) throws(BackupError) -> [UInt8] {
    let chunkBytes = UInt64(AgeReader.chunkBytes)
    let end = min(offset + UInt64(count), byteCount)
    guard offset < end else { return [] }
    var bytes: [UInt8] = []
    for number in (offset / chunkBytes)...((end - 1) / chunkBytes) {
      let (place, file) = (reader.place(of: number), file)
      let sealed = try onDisk { () throws(DiskError) in try file.read(place.count, at: place.lowerBound) }
      let content: [UInt8]
      do throws(AtRestError) { content = try reader.open(sealed, number: number) } catch {
        throw BackupError(error, path: file.path)
      }
      let start = number * chunkBytes
      bytes += content[Int(max(offset, start) - start)..<Int(min(end, start + chunkBytes) - start)]
    }
    return bytes
  }
}
