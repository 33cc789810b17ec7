// Volumes of an account that is being built: frames gather in aligned memory and go past the page cache in large pieces, so
// nothing is copied into pages that nobody reads again, and the disk works while the next frames are sealed.
//
// A piece is written by the thread that filled it, outside the lock; others fill the next one meanwhile. What does not fill a
// block waits for what comes behind it, unless `flush` wants it in the file: then it goes there as it is, and once more with
// the rest of its block. The bytes are the same, so not even a torn write changes what was there.

import Disk
import Formats
import Threads

final class RestoreVolumes: Sendable {
  private struct Piece {
    let file: any DiskFile
    let offset: UInt64
    let buffer: DiskBuffer
    let number: UInt64
  }

  private struct State {
    var volume: UInt32?
    var file: (any DiskFile)?
    /// Where `buffer` lies in the file; a multiple of the block.
    var start: UInt64 = 0
    var buffer = DiskBuffer(capacity: RestoreVolumes.pieceBytes)
    /// Bytes at the buffer's front that the file has already.
    var flushed = 0
    var idle: [DiskBuffer] = []
    /// Numbers of pieces that are being written.
    var flying: Set<UInt64> = []
    var pieces: UInt64 = 0
    var failure: StoreError?
  }

  private let volumes: VolumeSet
  private let state = Lock(State())
  /// A multiple of every block size.
  static let pieceBytes = 1 << 20
  private static let block = DiskBuffer.alignment

  init(_ volumes: VolumeSet) { self.volumes = volumes }

  /// Appends one frame; it lies in its volume after the next `flush`. Several threads at the same time.
  func append(_ frame: consuming [UInt8], _ header: ChunkHeader) throws(StoreError) {
    let frameBytes = frame.count
    let entry = VolumeEntry.encode(frame)
    let full = try state.with { s throws(StoreError) -> [Piece] in
      if let failure = s.failure { throw failure }
      let place = try volumes.reserve(entry.count, frameBytes: frameBytes, header)
      if s.volume != place.number {
        try leave(&s)
        try begin(place, &s)
      }
      return fill(entry, &s)
    }
    for piece in full { try write(piece) }
  }

  /// On return everything that was appended before lies in its volume, not yet durable.
  func flush() throws(StoreError) {
    let last = try state.with { s throws(StoreError) -> UInt64 in
      if let failure = s.failure { throw failure }
      try writeRest(&s)
      return s.pieces
    }
    let failure = state.wait(until: { $0.flying.allSatisfy { $0 > last } }) { $0.failure }
    if let failure { throw failure }
  }

  private func fill(_ entry: [UInt8], _ s: inout State) -> [Piece] {
    var full: [Piece] = []
    var start = 0
    while start < entry.count {
      let count = min(entry.count - start, Self.pieceBytes - s.buffer.count)
      s.buffer.append(entry.span.bytes.extracting(start..<(start + count)))
      start += count
      guard s.buffer.count == Self.pieceBytes else { continue }
      s.pieces += 1
      s.flying.insert(s.pieces)
      full.append(Piece(file: s.file!, offset: s.start, buffer: s.buffer, number: s.pieces))
      s.start += UInt64(Self.pieceBytes)
      s.buffer = s.idle.popLast() ?? DiskBuffer(capacity: Self.pieceBytes)
      s.flushed = 0
    }
    return full
  }

  private func write(_ piece: Piece) throws(StoreError) {
    var failure: StoreError?
    do throws(DiskError) { try piece.file.write(piece.buffer, at: piece.offset) } catch { failure = StoreError(error) }
    state.with { s in
      s.flying.remove(piece.number)
      if s.failure == nil { s.failure = failure }
      piece.buffer.clear()
      s.idle.append(piece.buffer)
    }
    state.wake()
    if let failure { throw failure }
  }

  /// Puts what waits into the file: whole blocks, which then are done with, and the bytes behind them.
  private func writeRest(_ s: inout State) throws(StoreError) {
    guard let file = s.file, s.buffer.count > s.flushed else { return }
    let whole = s.buffer.count & ~(Self.block - 1)
    let (buffer, start) = (s.buffer, s.start)
    do throws(DiskError) {
      if whole > 0 {
        try buffer.withSpan { (all) throws(DiskError) in try file.write(all.extracting(0..<whole), at: start) }
      }
      let tail = buffer.withSpan { all in all.extracting(whole..<all.byteCount).withUnsafeBytes { [UInt8]($0) } }
      if !tail.isEmpty { try file.write(tail, at: start + UInt64(whole)) }
      buffer.clear()
      buffer.append(tail)
      (s.start, s.flushed) = (start + UInt64(whole), tail.count)
    } catch {
      let failure = StoreError(error)
      s.failure = failure
      throw failure
    }
  }

  private func leave(_ s: inout State) throws(StoreError) {
    try writeRest(&s)
    s.buffer.clear()
    (s.volume, s.file, s.flushed) = (nil, nil, 0)
  }

  /// Takes the bytes that lie before the place in its block along.
  private func begin(_ place: VolumeSet.Reserved, _ s: inout State) throws(StoreError) {
    let start = place.offset & ~UInt64(Self.block - 1)
    let front = try storing { try place.file.read(Int(place.offset - start), at: start) }
    guard front.count == Int(place.offset - start) else {
      throw StoreError(.io, "\(place.file.path) is shorter than it was")
    }
    s.buffer.append(front)
    (s.volume, s.file, s.start, s.flushed) = (place.number, place.file, start, front.count)
  }
}
