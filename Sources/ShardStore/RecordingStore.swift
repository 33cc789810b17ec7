// One account's recordings: chunks in volumes, each recording under a key of its own.
//
// An upload is durable, bytes and key, before its row is written; a crash between the two leaves chunks without a row,
// which are collected later. So there is never a row without its audio.

import AtRest
import Base
import Disk
import Formats
import OpenSSL
import Threads

final class RecordingStore: Sendable {
  let account: AccountID
  let keyring: Keyring
  let volumes: VolumeSet
  let coder: RecordingChunkCoder
  private let plain: Bool
  /// Only where a test plants it.
  var isPlain: Bool { plain }
  /// Uploads that run or ended a moment ago: their rows may still be on their way.
  private let recent = Lock<[RecordingID: UInt64]>([:])
  private let collecting = Lock(())

  init(
    disk: any Disk, directory: String, account: AccountID, keyring: Keyring, configuration: EngineConfiguration,
    direct: Bool = false
  ) throws(StoreError) {
    self.account = account
    self.keyring = keyring
    volumes = VolumeSet(
      disk: disk, directory: directory, account: account, volumeBytes: configuration.volumeBytes, direct: direct)
    coder = RecordingChunkCoder(account: account)
    plain = configuration.plantedBugs.contains(.sealingOff)
  }

  func begin(now: UInt64) throws(StoreError) -> (RecordingID, SecretBytes) {
    var random = SystemRandom()
    let id = RecordingID(from: &random)
    return (id, try begin(id, now: now))
  }

  /// A recording that keeps the id that it has elsewhere; for restores.
  func begin(_ id: RecordingID, now: UInt64) throws(StoreError) -> SecretBytes {
    recent.with { $0[id] = now }
    do { return try keyring.addRecordingKey(id) } catch { throw StoreError(error, "the keyring") }
  }

  /// For the grace of uploads nothing collects these: rows that name them are on their way.
  func protect(_ ids: [RecordingID], now: UInt64) { recent.with { for id in ids { $0[id] = now } } }

  /// Makes a finished upload durable: its chunks, then its key.
  func finish(_ volumes: Set<UInt32>) throws(StoreError) {
    try self.volumes.sync(volumes)
    do { try keyring.sync() } catch { throw StoreError(error, "the keyring") }
  }

  func cancel(_ id: RecordingID) {
    volumes.forget(id)
    recent.with { $0[id] = nil }
  }

  /// The name of a chunk: a keyed hash of its original bytes.
  func chunkName(_ original: [UInt8]) -> [UInt8] {
    keyring.recordingName.with { key in
      HMACSHA256.authenticate(original, key: [UInt8](rawSpan: key))
    }
  }

  /// How the chunks of a recording that begins with `front` are coded as audio; nil when it is not a WAV file of a kind
  /// that is known. `isWhole` when nothing comes behind it.
  func audio(front: [UInt8], isWhole: Bool) -> AudioChunkCoder? {
    AudioChunkCoder(front: front, fileBytes: isWhole ? front.count : nil)
  }

  /// The frame of one chunk.
  func seal(
    _ chunk: [UInt8], number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID, audio: AudioChunkCoder?
  ) -> [UInt8] {
    let sealed = coder.seal(
      chunk, number: number, isLast: isLast, key: key, recording: recording, audio: audio
    ).bytes
    guard plain else { return sealed }
    let header = ChunkHeader(
      coding: .stored, isLast: isLast, recording: recording, number: UInt32(number),
      originalBytes: UInt32(chunk.count), codedBytes: UInt32(chunk.count), salt: 0)
    return header.encode() + chunk + [UInt8](repeating: 0, count: ChunkHeader.tagBytes)
  }

  /// The frame of a chunk that was coded before.
  func reseal(
    _ chunk: CodedChunk, number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID
  ) throws(StoreError) -> [UInt8] {
    guard plain else {
      return coder.reseal(chunk, number: number, isLast: isLast, key: key, recording: recording)
    }
    let original: [UInt8]
    do { original = try chunk.decoded() } catch { throw StoreError(error, "a chunk of a recording") }
    return seal(original, number: number, isLast: isLast, key: key, recording: recording, audio: nil)
  }

  /// The key of a recording. `.wrongKey` when it was erased.
  func key(of id: RecordingID) throws(StoreError) -> SecretBytes {
    do {
      if let key = try keyring.recordingKey(id) { return key }
    } catch { throw StoreError(error, "the keyring") }
    throw StoreError(.wrongKey, "recording \(id) has no key any more: it was erased")
  }

  /// Chunk `number` as it was recorded.
  func chunk(
    _ number: Int, at place: VolumeSet.Place, of id: RecordingID, key: SecretBytes
  ) throws(StoreError) -> [UInt8] {
    if plain { return Array(try volumes.read(place).dropFirst(ChunkHeader.byteCount).dropLast(ChunkHeader.tagBytes)) }
    let frame = try volumes.readUnchecked(place)
    do {
      return try coder.open(frame, number: number, isLast: place.isLast, key: key, recording: id)
    } catch { throw StoreError(error, "\(volumes.path(place.volume)) at byte \(place.offset)") }
  }

  /// Frees what no row names. `grace` protects uploads whose row is still to come.
  func collect(live: Set<RecordingID>, now: UInt64, grace: UInt64) throws(StoreError) -> (
    recordings: Int, bytes: UInt64
  ) {
    try collecting.with { _ throws(StoreError) in
      let young = recent.with { r in
        r = r.filter { now < $0.value + grace }
        return Set(r.keys)
      }
      return try volumes.collect { live.contains($0) || young.contains($0) }
    }
  }

  /// As uploads whose rows are still to come: not collected for a while. What is being collected at this moment is gone when
  /// it returns.
  func keep(_ ids: [RecordingID], now: UInt64) {
    collecting.with { _ in recent.with { r in for id in ids { r[id] = now } } }
  }
}
