// `komora verify` of an export that is not encrypted: one pass over the file, in memory that does not grow with what the
// file claims, but for eight bytes a file in it. Nothing is written anywhere.
//
// Every byte counts: the trailer has the hash of all that lies before it; the tar stream is read in the one form that
// exports have, so links, devices, other paths and what else a hostile archive may hold are no entries at all.

import AtRest
import Base
import Disk
import Formats
import OpenSSL

struct ExportCheck {
  let file: any DiskFile
  let size: UInt64

  private static let pieceBytes = 256 << 10
  /// More content than this, with `contentRatioMax` times the file's length, is no account's.
  private static let contentBytesFree: UInt64 = 64 << 30
  private static let contentRatioMax: UInt64 = 1024

  static let magic: [UInt8] = Array(ZstdStreamCompressor.frameStart.prefix(4))

  /// Whether the file ends like an export.
  static func isExport(_ file: any DiskFile, size: UInt64) throws(BackupError) -> Bool {
    guard size > UInt64(ExportTrailer.byteCount) else { return false }
    return ExportTrailer.isAt(
      try onDisk { () throws(DiskError) in
        try file.read(ExportTrailer.byteCount, at: size - UInt64(ExportTrailer.byteCount))
      })
  }

  func run(_ report: inout VerifyReport) throws(BackupError) {
    let contents = ExportContents()
    do { try read(contents) } catch let error as BackupError { throw error } catch let error as FormatError {
      throw damaged(error.message, at: contents.fileOffset)
    } catch let error as AtRestError {
      throw damaged(error.message, at: contents.fileOffset)
    } catch { throw BackupError(anyOf: error) }
    report.units += Int(clamping: contents.files)
    guard let manifest = contents.manifest else { return }
    let of = manifest.from == nil && manifest.to == nil ? "" : ", a period"
    report.notes.append(
      "\(file.path): export \(manifest.export) of \(manifest.accountName), position \(manifest.position), "
        + "\(manifest.createdAt)\(of); signed by \(manifest.publicKey.hex): compare that with `komora export show`")
  }

  private func damaged(_ message: String, at offset: UInt64) -> BackupError {
    BackupError(.damaged, message, path: file.path, offset: Int(clamping: offset))
  }

  private func read(_ contents: ExportContents) throws {
    guard size > UInt64(ExportTrailer.byteCount) else { throw damaged("an export that ends early", at: size) }
    let end = size - UInt64(ExportTrailer.byteCount)
    let start = try file.read(ZstdStreamCompressor.frameStart.count, at: 0)
    guard start == ZstdStreamCompressor.frameStart else {
      throw damaged("the file does not begin as exports do", at: 0)
    }
    let zstd = ZstdStreamDecompressor(windowLogMax: ZstdStreamCompressor.windowLog)
    let hasher = Hasher(.sha256)
    let most = Self.contentBytesFree + size.multipliedReportingOverflow(by: Self.contentRatioMax).partialValue
    var total: UInt64 = 0
    var at: UInt64 = 0
    let stream = ExportStream(contents)
    while at < end {
      let piece = try file.read(Int(min(UInt64(Self.pieceBytes), end - at)), at: at)
      guard !piece.isEmpty else { throw damaged("the file ends early", at: at) }
      contents.fileOffset = at
      hasher.update(piece)
      let used = try zstd.read(piece) { content in
        total += UInt64(content.count)
        guard total <= most else { throw damaged("more content than any account has: not unpacked further", at: at) }
        try stream.push(content)
      }
      at += UInt64(piece.count)
      guard used == piece.count else { throw damaged("bytes behind the end of the archive", at: at) }
    }
    contents.fileOffset = end
    guard zstd.isFinished else { throw damaged("the archive ends early", at: end) }
    let trailer = try ExportTrailer(decoding: try file.read(ExportTrailer.byteCount, at: end))
    guard trailer.hash == hasher.finish() else {
      throw damaged("the file's bytes are not those that were written", at: 0)
    }
    try stream.finish()
    try contents.finish()
  }
}
