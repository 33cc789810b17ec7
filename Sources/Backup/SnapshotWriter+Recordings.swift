// The recordings' part of a snapshot: chunks that the archive lacks, copied as they lie in their volumes, still sealed.
//
// While some chunks go to the pack, the next ones are read and framed, on two threads. What is in memory is bounded by two
// such handfuls, whatever the account has.

import Base
import Formats

extension SnapshotWriter {
  private struct Wanted: Sendable {
    var recording: RecordingID
    var number: Int
    var name: ChunkName
  }

  private struct Framed: Sendable {
    var name: ChunkName
    var frame: [UInt8]
  }

  /// About 1.5 MiB of chunks as they are; telephone audio has half of it.
  private static let handful = 6

  /// How far the recordings have been gone through.
  private struct Place {
    var recordings: ArraySlice<SourceRecording>
    /// The chunk of the first of them that comes next.
    var chunk = 0
  }

  func writeRecordings(
    _ recordings: [SourceRecording], _ source: any SnapshotSource, _ meter: ProgressMeter, _ cancel: CancelFlag
  ) async throws {
    var place = Place(recordings: recordings[...])
    var wanted = try next(&place, cancel)
    var framed = try await Self.framed(wanted.chunks, source, cancel)
    while !framed.isEmpty {
      let following = try next(&place, cancel)
      async let others = Self.framed(following.chunks, source, cancel)
      let (output, distrusted, chunks) = (output, distrusted, framed)
      try await BackupWork.perform {
        // Two rows may name one recording.
        for chunk in chunks where !output.has(chunk.name, trusting: !distrusted.contains(chunk.name)) {
          try output.add(frame: chunk.frame, name: chunk.name)
        }
      }
      meter.advance(wanted.bytes)
      wanted = following
      framed = try await others
    }
    meter.advance(wanted.bytes)
  }

  /// The next chunks that the archive lacks, none at the end; and the bytes of the recordings that end with them.
  private func next(_ place: inout Place, _ cancel: CancelFlag) throws -> (chunks: [Wanted], bytes: Int) {
    var (chunks, bytes) = ([Wanted](), 0)
    while let recording = place.recordings.first, chunks.count < Self.handful {
      guard place.chunk < recording.chunks else {
        bytes += Int(recording.bytes)
        place.recordings.removeFirst()
        place.chunk = 0
        try cancel.check()
        continue
      }
      let name = keys.name(of: recording.id, chunk: place.chunk)
      if !output.has(name, trusting: !distrusted.contains(name)) {
        chunks.append(Wanted(recording: recording.id, number: place.chunk, name: name))
      }
      place.chunk += 1
    }
    return (chunks, bytes)
  }

  private static func framed(
    _ chunks: [Wanted], _ source: any SnapshotSource, _ cancel: CancelFlag
  ) async throws -> [Framed] {
    let middle = chunks.count / 2
    async let front = frames(chunks[..<middle], source, cancel)
    async let back = frames(chunks[middle...], source, cancel)
    return try await front + back
  }

  private static func frames(
    _ chunks: ArraySlice<Wanted>, _ source: any SnapshotSource, _ cancel: CancelFlag
  ) async throws -> [Framed] {
    var bodies: [(name: ChunkName, sealed: [UInt8])] = []
    for chunk in chunks {
      try cancel.check()
      let sealed = try await source.sealedChunk(chunk.number, of: chunk.recording)
      guard sealed.count <= PackFrameHeader.bodyBytesMax else {
        throw BackupError(.failed, "chunk \(chunk.number) of recording \(chunk.recording) is too long")
      }
      bodies.append((chunk.name, sealed))
    }
    guard !bodies.isEmpty else { return [] }
    return try await BackupWork.perform { [bodies] in
      bodies.map { name, sealed in
        Framed(
          name: name,
          frame: PackFrameHeader.frame(kind: .recording, coding: .own, originalBytes: 0, name: name, body: sealed))
      }
    }
  }
}
