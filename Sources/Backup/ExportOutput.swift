// Where an export's tar stream goes: over a pipe to a thread that compresses it, and from there over another one to a thread
// that seals, hashes and writes. The three of them, with the one that reads the account, take about as long as each other.

import AtRest
import Disk
import Threads

final class ExportOutput {
  private static let pieceBytes = 512 << 10
  // Each is used on its pipe's thread, and here when that has ended.
  private let zstd: Lock<ZstdStreamCompressor>
  private let sink: Lock<ExportSink>
  private let compressing: ExportPipe
  private let sealing: ExportPipe
  private var waiting: [UInt8] = []

  /// Makes the file at `path`; `recipients` are age's, none for one that everybody can read who gets it; `owner` is the
  /// account's public key for agreements, to which it is sealed on the disk.
  init(_ disk: any Disk, _ path: String, recipients: [String], owner: [UInt8]) throws {
    let sink = Lock(try ExportSink(disk, path, recipients: recipients, owner: owner))
    let zstd = Lock(ZstdStreamCompressor())
    let sealing = ExportPipe { piece in try sink.with { try $0.write(piece) } }
    compressing = ExportPipe { piece in
      try zstd.with { try $0.write(piece.span.bytes) { try sealing.send(Array($0)) } }
    }
    (self.sink, self.zstd, self.sealing) = (sink, zstd, sealing)
    waiting.reserveCapacity(Self.pieceBytes)
  }

  func write(_ bytes: [UInt8]) throws {
    waiting += bytes
    guard waiting.count >= Self.pieceBytes else { return }
    try compressing.send(waiting)
    waiting.removeAll(keepingCapacity: true)
  }

  /// Ends and syncs the file.
  func finish() throws -> ExportSink.Result {
    try compressing.send(waiting)
    try compressing.close()
    try zstd.with { try $0.finish { try sealing.send(Array($0)) } }
    try sealing.close()
    return try sink.with { try $0.finish() }
  }

  /// To be called however the export ends, before anybody else touches its files: returns when both threads are free. The
  /// first one may be waiting for the second, which goes on taking until it is told to end.
  func close() {
    try? compressing.close()
    try? sealing.close()
  }
}
