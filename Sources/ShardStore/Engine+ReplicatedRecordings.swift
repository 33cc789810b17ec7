// Recordings between replicas: what a record names must lie here, bytes and key, before the record counts here.

import AtRest
package import Base
package import Formats
package import OpenSSL
import Threads

/// A recording as it goes to another replica: its key, and its chunks as they lie in the volumes.
package struct SealedRecording: Sendable {
  package let id: RecordingID
  package let key: SecretBytes
  /// Of each chunk's frame, in order.
  package let frameBytes: [Int]
  private let shard: Shard
  private let places: [VolumeSet.Place]

  init(_ shard: Shard, _ id: RecordingID, _ key: SecretBytes, _ places: [VolumeSet.Place]) {
    self.shard = shard
    self.id = id
    self.key = key
    self.places = places
    frameBytes = places.map(\.frameBytes)
  }

  package func frame(_ number: Int) async throws -> [UInt8] {
    try await shard.onReader { [shard, places] in try shard.recordings.volumes.read(places[number]) }
  }
}

extension Engine {
  /// The recordings that a record of a replicated account names; empty for records of other kinds. Reads no other record.
  package func recordings(namedBy record: SealedRecord) async throws -> [RecordingID] {
    guard record.header.kind == .recordings else { return [] }
    let shard = try await held(record.header.account)
    defer { shard.release() }
    return try shard.recordings(namedBy: record)
  }

  /// Of `recordings`, those that are not here; what is here is durable when this returns.
  package func missing(_ id: AccountID, _ recordings: [RecordingID]) async throws -> [RecordingID] {
    let shard = try await held(id)
    defer { shard.release() }
    return try await shard.onReader { try shard.recordings.settle(recordings) }
  }

  /// For another replica. `.notFound` when it is not whole here.
  package func sealedRecording(_ id: AccountID, _ recording: RecordingID) async throws -> SealedRecording {
    let shard = try await held(id)
    defer { shard.release() }
    return try await shard.onReader {
      guard let places = try shard.recordings.volumes.chunks(of: recording),
        let key = try shard.recordings.keyring.recordingKey(recording)
      else { throw StoreError(.notFound, "recording \(recording) is not whole on this node") }
      return SealedRecording(shard, recording, key, places)
    }
  }

  /// Takes a recording from another replica; durable, bytes and key, when this returns. `next` gives its frames.
  package func install(
    _ id: AccountID, _ recording: RecordingID, key: SecretBytes, _ next: () async throws -> [UInt8]?
  ) async throws {
    let shard = try await held(id)
    defer { shard.release() }
    try await shard.onReader { shard.recordings.volumes.forget(recording) }
    var volumes: Set<UInt32> = []
    do {
      while let frame = try await next() {
        volumes.insert(try await shard.onReader { try shard.recordings.append(frame, of: recording) })
      }
      let used = volumes
      try await shard.onReader { try shard.recordings.finish(recording, key: key, used) }
    } catch {
      shard.recordings.cancel(recording)
      throw error
    }
  }
}

extension Shard {
  func recordings(namedBy record: SealedRecord) throws(StoreError) -> [RecordingID] {
    guard case .recordings(let payload) = try opener.with({ opener throws(StoreError) in try opener.open(record) })
    else { return [] }
    return payload.ids
  }
}

extension RecordingStore {
  /// Those that are not whole here; the others are durable.
  func settle(_ ids: [RecordingID]) throws(StoreError) -> [RecordingID] {
    var missing: [RecordingID] = []
    var volumes: Set<UInt32> = []
    for id in ids {
      if keyring.hasRecordingKey(id), let places = try self.volumes.chunks(of: id) {
        volumes.formUnion(places.map(\.volume))
      } else {
        missing.append(id)
      }
    }
    if !volumes.isEmpty { try finish(volumes) }
    return missing
  }

  func append(_ frame: [UInt8], of id: RecordingID) throws(StoreError) -> UInt32 {
    do {
      let header = try ChunkHeader(front: frame[...])
      guard header.recording == id, header.frameBytes == frame.count else {
        throw StoreError(.damaged, "a chunk of another recording came for \(id)")
      }
      return try volumes.append(frame, header)
    } catch let error as FormatError {
      throw StoreError(.damaged, "a chunk of recording \(id) cannot be read: \(error.message)")
    } catch { throw (error as? StoreError) ?? StoreError(.io, "\(error)") }
  }

  func finish(_ id: RecordingID, key: SecretBytes, _ used: Set<UInt32>) throws(StoreError) {
    guard try volumes.chunks(of: id) != nil else { throw StoreError(.damaged, "recording \(id) came without its end") }
    do { try keyring.putRecordingKey(key, id) } catch { throw StoreError(error, "the keyring") }
    try finish(used)
  }
}
