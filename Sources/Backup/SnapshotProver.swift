// Restores a snapshot whole, in passing, and compares: what turns *stored* into *proven*.
//
// Every chunk that the manifest names is read back from the disk. Database chunks are opened, decoded and compared with
// their names, then SQLite's integrity_check runs over exactly those pages; chunks of recordings are opened with their
// keys and compared with the recording's root. Nothing is written but the proof, and nothing is taken from a cache that
// was filled while writing. The proof also carries the digest of the frames that were decoded (`FrameDigest`).

import AtRest
import Base
import Disk
package import Formats
import SQLite
import Threads

package struct SnapshotProver: Sendable {
  package struct Result: Sendable {
    package var chunks: UInt64 = 0
    /// In packs.
    package var bytes: UInt64 = 0
    /// Recordings whose keys were destroyed.
    package var erased = 0
    /// Chunks without a good copy, and where the bad one lies.
    package var damaged: [ChunkName: BackupError] = [:]
    /// What is wrong with the database beside damaged chunks.
    package var problems: [String] = []
    /// The frames that were decoded, each once.
    package var frames = FrameDigest()
    package var isWhole: Bool { damaged.isEmpty && problems.isEmpty }

    /// For the proof.
    var proven: ProvenFrames {
      ProvenFrames(digest: frames.bytes, count: frames.count, decoders: Decoders.current)
    }

    fileprivate mutating func add(_ part: Result) {
      chunks += part.chunks
      bytes += part.bytes
      erased += part.erased
      damaged.merge(part.damaged) { $1 }
      problems += part.problems
      frames.add(part.frames)
    }
  }

  private let reader: SnapshotReader
  private let cancel: CancelFlag
  /// Groups whose content another one before has as well.
  private let repeated: Set<Int>

  package init(_ reader: SnapshotReader, cancel: CancelFlag = CancelFlag()) {
    self.reader = reader
    self.cancel = cancel
    var seen: Set<UInt128> = []
    repeated = Set(reader.manifest.body.groups.enumerated().filter { !seen.insert($1.high).inserted }.map(\.offset))
  }

  private var manifest: Manifest { reader.manifest }

  /// Blocks for as long as it takes to read the snapshot, on two threads.
  package func run(progress: @escaping @Sendable (Double) -> Void = { _ in }) throws(BackupError) -> Result {
    let (groups, recordings) = (manifest.body.groups.count, manifest.body.recordings)
    let meter = ProgressMeter(total: Double(groups + recordings.count + 1), progress)
    let all = Lock(Result())
    do {
      // A proof has time: whoever commits meanwhile does not wait for it.
      try BackupWork.forEach(groups + recordings.count, priority: .idle) { [self] number in
        var part = Result()
        if number < groups { try check(group: number, &part) } else { try check(recordings[number - groups], &part) }
        all.with { [part] in $0.add(part) }
        meter.advance(1)
      }
    } catch { throw BackupError(anyOf: error) }
    var result = all.with { $0 }
    if result.damaged.isEmpty { result.problems += try integrityProblems() }
    return result
  }

  private func check(group number: Int, _ result: inout Result) throws(BackupError) {
    try cancel.check()
    IdlePause.take()
    let name = manifest.body.groups[number]
    let coder = DatabaseChunkCoder(keys: reader.keys)
    let expected = manifest.groupBytes(number)
    do throws(BackupError) {
      let (bytes, mark) = try reader.index.read(name) { frame -> (Int, FrameMark)? in
        guard coder.open(frame.header, body: frame.body)?.count == expected else { return nil }
        return (frame.header.frameBytes, FrameMark(frame, reader.keys))
      }
      if !repeated.contains(number) { result.frames.add(mark) }
      result.chunks += 1
      result.bytes += UInt64(bytes)
    } catch {
      guard error.code == .damaged || error.code == .notFound else { throw error }
      result.damaged[name] = error
    }
  }

  private func check(_ recording: ManifestBody.Recording, _ result: inout Result) throws(BackupError) {
    guard reader.recordings.hasKey(recording.id) else {
      result.erased += 1
      return
    }
    var names: [[UInt8]] = []
    var total: UInt64 = 0
    var isWhole = true
    for number in 0..<recording.chunks {
      try cancel.check()
      let name = reader.keys.name(of: recording.id, chunk: number)
      do throws(BackupError) {
        let (original, mark) = try reader.index.read(name) { frame -> ([UInt8], FrameMark)? in
          let chunk = reader.recordings.open(
            frame.body, number: number, count: recording.chunks, of: recording.id)
          return chunk.map { ($0.original, FrameMark(frame, reader.keys)) }
        }
        IdlePause.take()
        result.frames.add(mark)
        names.append(reader.recordings.name(ofChunk: original))
        total += UInt64(original.count)
        result.chunks += 1
        result.bytes += UInt64(original.count)
      } catch {
        guard error.code == .damaged || error.code == .notFound else { throw error }
        result.damaged[name] = error
        isWhole = false
      }
    }
    if isWhole, total != recording.bytes || RecordingRoot.hash(names) != recording.root {
      result.problems.append("recording \(recording.id) is not what its row says")
    }
  }

  private func integrityProblems() throws(BackupError) -> [String] {
    let found = Lock<[String]>([])
    do {
      try BackupWork.forEach(1, priority: .idle) { [self] _ in
        let rows = try reader.pages.host.query { try $0.query("PRAGMA integrity_check(20)") }
        guard rows != [[.text("ok")]] else { return }
        let lines = rows.compactMap { $0.first?.text }
        found.with { $0 = rows.isEmpty ? ["integrity_check gave no answer"] : lines }
      }
    } catch { throw BackupError(anyOf: error) }
    return found.with { $0 }
  }
}
