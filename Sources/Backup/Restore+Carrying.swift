// Recordings of a proven snapshot come over without being decoded: each frame opens under its recording's key, which proves
// whose and which it is, and is sealed for the new account. Before the account gets its place the frames must be those that
// the proof saw decoded and compared. If they are not, everything that was carried is decoded out of the new account and
// compared, as if nobody had vouched for it; what then does not hold lets the whole restore begin anew, without any trust.

import AtRest
import Base
import Formats

extension Restore {
  func bring(_ recording: ManifestBody.Recording, to target: any RestoreTarget, _ meter: ProgressMeter) throws {
    // Of one that an earlier run began, what is there has to be decoded anyway.
    guard tally.covers(recording), target.durableChunks(of: recording.id) == 0,
      let key = reader.recordings.key(of: recording.id),
      let carrier = try target.carrier(of: recording.id, from: reader.keys.account, key)
    else { return try write(recording, to: target, meter) }
    var frames = FrameDigest()
    for number in 0..<recording.chunks {
      try cancel.check()
      let isLast = number == recording.chunks - 1
      let name = reader.keys.name(of: recording.id, chunk: number)
      let (frame, mark) = try reader.index.read(name) { stored -> ([UInt8], FrameMark)? in
        // With room for what a volume puts behind it.
        var frame: [UInt8] = []
        frame.reserveCapacity(stored.body.count + VolumeEntry.checksumBytes)
        frame.append(contentsOf: stored.body)
        do throws(AtRestError) { try carrier.carry(&frame, number: number, isLast: isLast) } catch { return nil }
        return (frame, FrameMark(stored, reader.keys))
      }
      try target.addFrame(frame)
      frames.add(mark)
      let bytes = min(Int(clamping: recording.bytes) - number * Limits.recordingChunkBytes, Limits.recordingChunkBytes)
      meter.advance(bytes)
      if pace.isDue(after: bytes) { try target.checkpoint(.recordings, pages: target.pageCount) }
    }
    tally.add(carried: recording.id, frames)
  }

  /// Nothing that was carried stays that no proof vouches for and that was not compared.
  func settle(_ recordings: [ManifestBody.Recording], in target: any RestoreTarget) throws {
    let carried = recordings.filter { tally.isCarried($0.id) }
    guard !carried.isEmpty, !tally.isProven() else { return }
    try BackupWork.forEach(carried.count, threads: Self.threads) { i in
      let recording = carried[i]
      var names: [[UInt8]] = []
      do {
        for number in 0..<recording.chunks {
          try cancel.check()
          let original = try target.readChunk(number, of: recording.id, isLast: number == recording.chunks - 1)
          names.append(reader.recordings.name(ofChunk: original))
        }
      } catch let error as BackupError where error.code == .cancelled { throw error } catch {
        doubt.set()
        throw error
      }
      guard RecordingRoot.hash(names) == recording.root else {
        doubt.set()
        throw BackupError(.damaged, "recording \(recording.id) is not what its row says")
      }
    }
  }
}
