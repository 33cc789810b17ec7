// A recording on its way in. Bytes are cut into chunks, coded, sealed and appended while they come; the caller waits for
// each append, which is the back-pressure. At most two chunks are in memory.

import AtRest
package import Base
import Formats
import OpenSSL
import Threads

/// A recording that is durable; it exists for others once its row is committed.
package struct StoredRecording: Sendable {
  package let id: RecordingID
  package let bytes: Int
  package let md5: [UInt8]
  /// Keyed hashes of the original chunks, 32 bytes each.
  package let chunkNames: [[UInt8]]
}

package final class Upload: Sendable {
  private struct State {
    /// Of the chunk that is being filled, at most the whole of it.
    var buffer: [UInt8] = []
    var bytes = 0
    var number = 0
    /// Known from the first chunk on, for recordings of calls.
    var audio: AudioChunkCoder?
    var names: [[UInt8]] = []
    var volumes: Set<UInt32> = []
    var done = false
  }

  package let id: RecordingID
  private let shard: Shard
  private let key: SecretBytes
  /// Nil where the caller has said what it is.
  private let md5: Hasher?
  private let saidMD5: [UInt8]
  private let state = Lock(State())

  /// `saidMD5` of all bytes, where somebody has computed it already and answers for it.
  init(_ shard: Shard, id: RecordingID, key: SecretBytes, saidMD5: [UInt8]? = nil) {
    self.shard = shard
    self.id = id
    self.key = key
    md5 = saidMD5 == nil ? Hasher(.md5) : nil
    self.saidMD5 = saidMD5 ?? []
    shard.hold()
  }

  deinit {
    if !state.with({ $0.done }) { shard.recordings.cancel(id) }
    shard.release()
  }

  /// Takes the next bytes. One call at a time; blocks for a chunk's coding and its write.
  package func appendNow(_ bytes: [UInt8]) throws(StoreError) {
    md5?.update(bytes)
    // The account may have been opened again meanwhile, and its volumes grown.
    if shard.hasFailed { throw shard.failureToTell }
    try state.with { s throws(StoreError) in
      guard !s.done else { throw StoreError(.closed, "the upload has ended") }
      s.bytes += bytes.count
      guard s.bytes <= Limits.recordingBytesMax else {
        throw StoreError(.tooLarge, "a recording has at most \(Limits.recordingBytesMax >> 30) GiB")
      }
      var rest = bytes[...]
      while !rest.isEmpty {
        // The last chunk is marked as such, so a full buffer waits until more comes.
        if s.buffer.count == Limits.recordingChunkBytes {
          try write(s.buffer, isLast: false, &s)
          s.buffer.removeAll(keepingCapacity: true)
        }
        if s.buffer.isEmpty, rest.count == bytes.count, bytes.count <= Limits.recordingChunkBytes {
          // Pieces of a chunk's size are never copied.
          s.buffer = bytes
          rest = []
        } else {
          let taken = rest.prefix(Limits.recordingChunkBytes - s.buffer.count)
          s.buffer.append(contentsOf: taken)
          rest = rest.dropFirst(taken.count)
        }
      }
    }
  }

  package func finishNow() throws(StoreError) -> StoredRecording {
    if shard.hasFailed { throw shard.failureToTell }
    let stored = try state.with { s throws(StoreError) in
      guard !s.done else { throw StoreError(.closed, "the upload has ended") }
      try write(s.buffer, isLast: true, &s)
      s.buffer = []
      try shard.recordings.finish(s.volumes)
      s.done = true
      return (s.bytes, s.names)
    }
    return StoredRecording(id: id, bytes: stored.0, md5: md5?.finish() ?? saidMD5, chunkNames: stored.1)
  }

  private func write(_ chunk: [UInt8], isLast: Bool, _ s: inout State) throws(StoreError) {
    let recordings = shard.recordings
    if s.number == 0 { s.audio = recordings.audio(front: chunk, isWhole: isLast) }
    let sealed = recordings.seal(
      chunk, number: s.number, isLast: isLast, key: key, recording: id, audio: s.audio)
    let header: ChunkHeader
    do { header = try ChunkHeader(front: sealed[...]) } catch { throw StoreError(error, in: "a chunk just made") }
    s.volumes.insert(try recordings.volumes.append(sealed, header))
    s.names.append(recordings.chunkName(chunk))
    s.number += 1
  }

  package func append(_ bytes: [UInt8]) async throws {
    try await shard.onReader { try self.appendNow(bytes) }
  }

  /// Durable when it returns, bytes and key.
  package func finish() async throws -> StoredRecording {
    try await shard.onReader { try self.finishNow() }
  }

  package func cancel() { if !state.with({ $0.done }) { shard.recordings.cancel(id) } }
}

/// A recording on its way out: any range, at the cost of the chunks that it touches.
package final class RecordingReader: Sendable {
  package let id: RecordingID
  package let size: Int
  private let shard: Shard
  private let places: [VolumeSet.Place]
  /// Who has begun to read ends with the key with which it began.
  private let key = Lock<SecretBytes?>(nil)

  init(_ shard: Shard, id: RecordingID, places: [VolumeSet.Place]) {
    self.shard = shard
    self.id = id
    self.places = places
    size = places.reduce(0) { $0 + $1.originalBytes }
    shard.hold()
  }

  deinit { shard.release() }

  package var chunkCount: Int { places.count }

  /// At most `count` bytes from `offset`, and no more than to the end of the chunk there; empty at the end.
  package func read(offset: Int, count: Int) async throws -> [UInt8] {
    try await shard.onReader { try self.readNow(offset: offset, count: count) }
  }

  package func readNow(offset: Int, count: Int) throws(StoreError) -> [UInt8] {
    guard offset >= 0, offset < size, count > 0 else { return [] }
    let number = offset / Limits.recordingChunkBytes
    let key = try key.with { known throws(StoreError) -> SecretBytes in
      if let known { return known }
      let found = try shard.recordings.key(of: id)
      known = found
      return found
    }
    let chunk = try shard.recordings.chunk(number, at: places[number], of: id, key: key)
    let start = offset - number * Limits.recordingChunkBytes
    guard start < chunk.count else { throw StoreError(.damaged, "recording \(id): chunk \(number) is too short") }
    if start == 0, count >= chunk.count { return chunk }
    return Array(chunk[start..<min(chunk.count, start + count)])
  }

  /// The frame of a chunk as it lies in its volume: sealed under the recording's key.
  package func sealedChunk(_ number: Int) async throws -> [UInt8] {
    try await shard.onReader { try self.shard.recordings.volumes.read(self.places[number]) }
  }
}
