// An account at one mark, as a stream of bytes for a new replica: keys, pages, recordings. Layout: `base.md`.
//
// Pages are read from a pin, chunks from their volumes, when they are asked for; so nothing waits for a transfer, and one
// that broke goes on from any byte while the source lives. The position is a mark's, because only behind a mark does a
// record not need a page version that the new replica does not have.

import AtRest
package import Base
import Formats
import OpenSSL
import Threads

package final class BaseSource: Sendable {
  package let position: Position
  package let size: UInt64
  private let view: PinnedView
  private let shard: Shard
  /// Header, keyring, mark and table.
  private let front: [UInt8]
  private let pageBytes: UInt64
  private let places: [VolumeSet.Place]
  /// Where each frame begins, from the first frame on, and where the last ends.
  private let starts: [UInt64]

  init(_ shard: Shard, _ view: PinnedView, mark: SealedRecord) throws {
    self.shard = shard
    self.view = view
    position = view.position
    let known = try view.recordings()
    var chunks: [BaseChunk] = []
    var places: [VolumeSet.Place] = []
    for recording in known.sorted() {
      for (number, place) in (try shard.recordings.volumes.chunks(of: recording) ?? []).enumerated() {
        chunks.append(
          BaseChunk(recording: recording, number: UInt32(number), frameBytes: UInt32(place.frameBytes)))
        places.append(place)
      }
    }
    let keyring: [UInt8]
    do { keyring = try shard.keyring.exportState() } catch { throw StoreError(error, "the keyring") }
    let header = BaseHeader(
      account: shard.id, position: position, pages: UInt32(view.pageCount), keyringBytes: UInt32(keyring.count),
      markBytes: UInt32(mark.frame.count), chunks: UInt32(chunks.count), accountKey: shard.keyring.accountKey.copy)
    var w = ByteWriter(
      capacity: BaseHeader.byteCount + keyring.count + mark.frame.count + chunks.count * BaseChunk.byteCount)
    w.put(raw: header.encode())
    w.put(raw: keyring)
    w.put(raw: mark.frame)
    for chunk in chunks { chunk.encode(to: &w) }
    front = w.bytes
    pageBytes = UInt64(view.pageCount * Limits.pageBytes)
    self.places = places
    var starts: [UInt64] = [0]
    for place in places { starts.append(starts.last! + UInt64(place.frameBytes)) }
    self.starts = starts
    size = UInt64(front.count) + pageBytes + starts.last!
  }

  /// Differs whenever the bytes do.
  package var validator: [UInt8] {
    var w = ByteWriter(capacity: 48)
    w.put(position.epoch)
    w.put(position.index)
    w.put(position.checksum)
    w.put(CRC32C.checksum(front))
    w.put(UInt64(UInt(bitPattern: ObjectIdentifier(self))))
    return w.bytes
  }

  /// Up to `count` bytes from `offset` on, at least one before the end. Blocks.
  package func readNow(at offset: UInt64, count: Int) throws -> [UInt8] {
    let frontEnd = UInt64(front.count)
    if offset < frontEnd {
      return Array(front[Int(offset)..<Int(min(frontEnd, offset + UInt64(count)))])
    }
    if offset < frontEnd + pageBytes { return try readPages(at: offset - frontEnd, count: count) }
    return try readFrame(at: offset - frontEnd - pageBytes, count: count)
  }

  package func read(at offset: UInt64, count: Int) async throws -> [UInt8] {
    try await shard.onReader { try self.readNow(at: offset, count: count) }
  }

  private func readPages(at offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
    var bytes: [UInt8] = []
    var at = offset
    while bytes.count < count, at < pageBytes {
      let page = try view.readPage(PageNumber(at / UInt64(Limits.pageBytes)) + 1)
      let within = Int(at % UInt64(Limits.pageBytes))
      let part = page[within..<min(page.count, within + count - bytes.count)]
      bytes.append(contentsOf: part)
      at += UInt64(part.count)
    }
    return bytes
  }

  private func readFrame(at offset: UInt64, count: Int) throws(StoreError) -> [UInt8] {
    guard offset < starts.last! else { return [] }
    // The last frame that begins at or before the offset.
    var (low, high) = (0, places.count)
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= offset { low = middle } else { high = middle }
    }
    let frame = try shard.recordings.volumes.read(places[low])
    let within = Int(offset - starts[low])
    return Array(frame[within..<min(frame.count, within + count)])
  }
}

extension Engine {
  /// As primary: the account as it is now, for a new replica. Returns when a mark made for it is committed.
  package func baseSource(_ id: AccountID) async throws -> BaseSource {
    try await reopening { try await self.makeBaseSource(id) }
  }

  private func makeBaseSource(_ id: AccountID) async throws -> BaseSource {
    let shard = try await held(id)
    defer { shard.release() }
    let view = try await shard.onReader { try PinnedView(shard) }
    let mark = try await shard.nextMark()
    return try await shard.onReader {
      try view.advance(to: mark)
      let record = try shard.accountLog.records(from: mark.index, bytesMax: 1)?.first
      guard let record, record.position == mark else {
        throw StoreError(.busy, "account \(id): the mark of the base is not in the log yet; try again")
      }
      return try BaseSource(shard, view, mark: record)
    }
  }
}

extension Engine {
  /// A new account before its first record, for its other voters: its keys, and an empty database.
  package func emptyBase(_ id: AccountID) async throws -> [UInt8] {
    try await onReader { try self.emptyBaseNow(id) }
  }

  package func emptyBaseNow(_ id: AccountID) throws(StoreError) -> [UInt8] {
    let shard = try openNow(id)
    let state: [UInt8]
    do throws(AtRestError) { state = try shard.keyring.exportState() } catch { throw StoreError(error, "the keyring") }
    let header = BaseHeader(
      account: id, position: .start, pages: 0, keyringBytes: UInt32(state.count), markBytes: 0, chunks: 0,
      accountKey: shard.keyring.accountKey.copy)
    return header.encode() + state
  }
}
