// What a restore has met of the frames that its snapshot's proof saw decoded and compared.
//
// Chunks of recordings are carried into the new account without decoding when a proof vouches for them: each opens under its
// recording's key, and at the end the marks of all frames of the snapshot must give the proof's digest (`FrameDigest`). Then
// each carried frame is, byte for byte, one that these decoders turned into what its name says. Frames that the restore had no
// need to read (of recordings that are not wanted, or that an earlier run made durable) count with the bytes at their edges,
// which are all that a mark is made of; nothing of their content is given back on the digest's word.

import Base
import Formats
import Threads

final class FrameTally: Sendable {
  private struct State {
    var digest = FrameDigest()
    var groups: [Bool]
    var recordings: Set<RecordingID> = []
    var isProven = false
  }

  private let reader: SnapshotReader
  private let proven: ProvenFrames?
  private let state: Lock<State>
  private var body: ManifestBody { reader.manifest.body }

  /// One that `doubts` carries nothing.
  init(_ reader: SnapshotReader, doubts: Bool) {
    self.reader = reader
    proven = doubts ? nil : reader.proven
    var groups = [Bool](repeating: false, count: reader.manifest.body.groups.count)
    if proven != nil {
      // Of groups with the same content the proof has the first.
      var seen: Set<UInt128> = []
      for (number, name) in reader.manifest.body.groups.enumerated() {
        groups[number] = !seen.insert(name.high).inserted
      }
    }
    state = Lock(State(groups: groups))
  }

  /// Whether the proof vouches for this recording as it is wanted, so that it may be carried.
  func covers(_ recording: ManifestBody.Recording) -> Bool {
    guard proven != nil else { return false }
    let all = body.recordings
    var (low, high) = (0, all.count)
    while low < high {
      let middle = (low + high) / 2
      if all[middle].id < recording.id { low = middle + 1 } else { high = middle }
    }
    return low < all.count && all[low] == recording
  }

  /// A group's frame that was opened, decoded and compared.
  func add(group: Int, _ mark: FrameMark) {
    guard proven != nil else { return }
    state.with { s in
      guard !s.groups[group] else { return }
      s.groups[group] = true
      s.digest.add(mark)
    }
  }

  /// All frames of a recording, each of which opened.
  func add(carried recording: RecordingID, _ frames: FrameDigest) {
    state.with { s in
      s.recordings.insert(recording)
      s.digest.add(frames)
    }
  }

  func isCarried(_ recording: RecordingID) -> Bool { state.with { $0.recordings.contains(recording) } }
  /// Recordings that were carried and for which the proof vouched in the end.
  var vouched: Int { state.with { $0.isProven ? $0.recordings.count : 0 } }

  /// Whether what was carried and decoded, and what nobody read, are together the frames of the proof.
  func isProven() -> Bool {
    let result = compare()
    state.with { $0.isProven = result }
    return result
  }

  private func compare() -> Bool {
    guard let proven else { return false }
    let known = state.with { $0 }
    var digest = known.digest
    // Chunks of recordings that were erased before the proof are not in it; of those that were erased since, all are.
    var erased: FrameDigest? = FrameDigest()
    for (number, name) in body.groups.enumerated() where !known.groups[number] {
      guard let mark = edges(of: name) else { return false }
      digest.add(mark)
    }
    for recording in body.recordings where !known.recordings.contains(recording.id) {
      let isErased = !reader.recordings.hasKey(recording.id)
      for number in 0..<recording.chunks {
        let mark = edges(of: reader.keys.name(of: recording.id, chunk: number))
        switch (mark, isErased) {
        case (let mark?, true): erased?.add(mark)
        case (let mark?, false): digest.add(mark)
        case (nil, true): erased = nil
        case (nil, false): return false
        }
      }
    }
    if digest.matches(proven) { return true }
    guard let erased else { return false }
    digest.add(erased)
    return digest.matches(proven)
  }

  /// The mark of a frame by what lies at its ends; nil when it is not there.
  private func edges(of name: ChunkName) -> FrameMark? {
    guard let place = reader.index.place(of: name), let file = try? reader.index.packFile(place.pack) else {
      return nil
    }
    let (offset, bytes) = (Int(place.offset), Int(place.bytes))
    let front = PackFrameHeader.byteCount + ChunkHeader.byteCount
    let tail = ChunkHeader.tagBytes + 4
    guard bytes >= PackFrameHeader.overhead else { return nil }
    var raw: [UInt8]
    do throws(BackupError) {
      raw = try file.read(min(bytes, front + tail), at: offset)
      if bytes > front + tail { raw = Array(raw.prefix(front)) + (try file.read(tail, at: offset + bytes - tail)) }
    } catch { return nil }
    guard raw.count == min(bytes, front + tail),
      let header = try? PackFrameHeader(decoding: raw.prefix(PackFrameHeader.byteCount)),
      header.frameBytes == bytes, header.name == name
    else { return nil }
    let frame = StoredFrame(
      header: header, body: raw[PackFrameHeader.byteCount..<(raw.count - 4)], checksum: raw.suffix(4))
    return FrameMark(frame, reader.keys)
  }
}
