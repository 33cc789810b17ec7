// Where an export's tar stream goes: over a pipe to a thread that compresses, seals and writes it.

import Disk
import Threads

final class ExportOutput {
  private static let pieceBytes = 512 << 10
  private let sink: Lock<ExportSink>
  private let pipe: ExportPipe
  private var waiting: [UInt8] = []
  private var isOpen = true

  /// Makes the file at `path`; `recipients` are age's, none for one that everybody can read who gets it; `owner` is the
  /// account's public key for agreements, to which it is sealed on the disk.
  init(_ disk: any Disk, _ path: String, recipients: [String], owner: [UInt8]) throws {
    let sink = Lock(try ExportSink(disk, path, recipients: recipients, owner: owner))
    self.sink = sink
    pipe = ExportPipe { piece in try sink.with { try $0.write(piece) } }
    waiting.reserveCapacity(Self.pieceBytes)
  }

  func write(_ bytes: [UInt8]) throws {
    waiting += bytes
    guard waiting.count >= Self.pieceBytes else { return }
    try pipe.send(waiting)
    waiting.removeAll(keepingCapacity: true)
  }

  /// Ends and syncs the file.
  func finish() throws -> ExportSink.Result {
    try pipe.send(waiting)
    isOpen = false
    try pipe.close()
    return try sink.with { try $0.finish() }
  }

  /// To be called however the export ends, before anybody else touches its files.
  func close() {
    guard isOpen else { return }
    isOpen = false
    try? pipe.close()
  }
}
