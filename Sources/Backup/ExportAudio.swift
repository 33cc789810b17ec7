// Recordings that are plain WAV files, as FLAC: encoding takes far longer than all the rest of an export, so the next ones
// are encoded on threads while one is packed.

import AtRest
import Base
import Disk
import OpenSSL
import ShardStore
import Threads

struct ExportAudio: Sendable {
  let source: PinnedSource
  let disk: any Disk
  /// Begin of its spools' paths.
  let spools: String
  let checkpoint: @Sendable () throws -> Void
  /// A call of some minutes. Longer ones go over the disk.
  private static let memoryBytes = 2 << 20

  /// A FLAC file, and the SHA-256 of what it decodes to.
  struct Encoded: Sendable {
    fileprivate var head: [UInt8]
    fileprivate var spool: Lock<ExportSpool>
    var hash: [UInt8]
    var bytes: UInt64 { UInt64(head.count) + spool.with { $0.bytes } }

    func read(_ body: ([UInt8]) throws -> Void) throws {
      try body(head)
      try spool.with { try $0.read(body) }
    }

    func remove() throws { try spool.with { try $0.remove() } }
  }

  /// Nil for a recording that is no plain WAV file, or that libFLAC does not give back as it was.
  func encode(_ recording: RecordingID, bytes: UInt64) throws -> Encoded? {
    let reader = try source.engine.recordingNow(source.account, recording)
    guard UInt64(reader.size) == bytes else { throw ExportRecordings.damaged(recording) }
    let front = try reader.readNow(offset: 0, count: FLACFile.Shape.headerBytes)
    guard let shape = FLACFile.Shape(front: front, fileBytes: reader.size), let encoder = FLACFile(shape) else {
      return nil
    }
    let spool = try ExportSpool(disk, "\(spools)audio-\(recording)", memoryBytes: Self.memoryBytes)
    let original = Hasher(.sha256)
    let isWhole = try ExportRecordings.read(recording, reader, checkpoint) { chunk, offset in
      original.update(chunk)
      let samples = offset == 0 ? Array(chunk.dropFirst(FLACFile.Shape.headerBytes)) : chunk
      guard let frames = encoder.update(samples) else { return false }
      try spool.write(frames)
      return true
    }
    guard isWhole, let end = encoder.finish() else {
      try spool.remove()
      return nil
    }
    try spool.write(end.tail)
    try spool.finish()
    return Encoded(head: end.head, spool: Lock(spool), hash: original.finish())
  }
}
