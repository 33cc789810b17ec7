// A chunk of a recording: coded losslessly, then sealed under the recording's key, in a frame that says whose it is.
//
// What was coded is decoded and compared before it counts. What does not get smaller is stored as it is.

package import Base
import Formats
import Glibc
package import OpenSSL

/// One chunk as it goes into a volume.
package struct SealedChunk: Sendable {
  package enum Coding: String, Sendable { case stored, zstd }
  package var coding: Coding
  /// Header, cipher text and tag.
  package var bytes: [UInt8]
}

package struct RecordingChunkCoder: Sendable {
  package var account: AccountID
  /// -1 to 1 of zstd; nil stores everything as it is.
  package var level: Int?

  package init(account: AccountID, level: Int? = 1) {
    precondition(level.map { (-1...1).contains($0) } ?? true, "level -1 to 1")
    self.account = account
    self.level = level
  }

  /// `original` has at most `Limits.recordingChunkBytes`. Blocks for about a millisecond.
  package func seal(
    _ original: RawSpan, number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID
  ) -> SealedChunk {
    precondition(original.byteCount <= Limits.recordingChunkBytes, "a chunk is too long")
    let smaller = level.flatMap { compressed(original, level: $0) }
    let count = smaller?.count ?? original.byteCount
    let header = ChunkHeader(
      coding: smaller == nil ? .stored : .zstd, isLast: isLast, recording: recording, number: UInt32(number),
      originalBytes: UInt32(original.byteCount), codedBytes: UInt32(count), salt: salt())
    var bytes = header.encode()
    bytes.reserveCapacity(header.frameBytes)
    if let smaller { bytes += smaller } else { original.withUnsafeBytes { bytes.append(contentsOf: $0) } }
    bytes.append(contentsOf: repeatElement(0, count: ChunkHeader.tagBytes))
    let (nonce, aad) = (header.nonce, header.binding(account))
    let end = ChunkHeader.byteCount + count
    var span = bytes.mutableSpan
    var frame = span.mutableBytes
    AESGCM(key: key).sealInPlace(
      &frame, text: ChunkHeader.byteCount..<end, tag: end, nonce: nonce.span.bytes, aad: aad.span.bytes)
    return SealedChunk(coding: smaller == nil ? .stored : .zstd, bytes: bytes)
  }

  package func seal(
    _ original: [UInt8], number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID
  ) -> SealedChunk {
    seal(original.span.bytes, number: number, isLast: isLast, key: key, recording: recording)
  }

  /// The original bytes of the frame that `frame` is. `.damaged` when it is not chunk `number` of this recording and
  /// account, or not the last one when `isLast` says so; `.refused` for a coding that this version does not know.
  package func open(
    _ frame: [UInt8], number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID
  ) throws(AtRestError) -> [UInt8] {
    let header: ChunkHeader
    do throws(FormatError) { header = try ChunkHeader(front: frame[...]) } catch { throw AtRestError(error) }
    guard header.recording == recording, header.number == UInt32(number), header.isLast == isLast else {
      throw AtRestError(.damaged, "a chunk of another place: \(header.recording), number \(header.number)")
    }
    guard header.frameBytes == frame.count else {
      throw AtRestError(.damaged, "a chunk of \(frame.count) bytes whose header says \(header.frameBytes)")
    }
    try Self.check(header.coding)
    let sealed = Array(frame[ChunkHeader.byteCount...])
    guard let coded = AESGCM(key: key).open(sealed, nonce: header.nonce, aad: header.binding(account)) else {
      throw AtRestError(.damaged, "a chunk of a recording does not open", at: ChunkHeader.byteCount)
    }
    let original =
      header.coding == .stored ? coded : try Zstd.decompress(coded, limit: Int(header.originalBytes))
    guard original.count == Int(header.originalBytes) else {
      throw AtRestError(.damaged, "a chunk of \(original.count) bytes whose header says \(header.originalBytes)")
    }
    return original
  }

  private static func check(_ coding: ChunkHeader.Coding) throws(AtRestError) {
    switch coding {
    case .stored, .zstd: break
    case .flac: throw AtRestError(.refused, "a chunk coded as FLAC, which this version does not decode", at: 5)
    default: throw AtRestError(.refused, "a chunk of unknown coding \(coding.rawValue)", at: 5)
    }
  }

  /// Nil when it is not smaller, or does not come back as it was.
  private func compressed(_ original: RawSpan, level: Int) -> [UInt8]? {
    let coded = Zstd.compress(original, level: level)
    guard coded.count < original.byteCount,
      let back = try? Zstd.decompress(coded, limit: original.byteCount),
      back.count == original.byteCount, original.withUnsafeBytes({ memcmp(back, $0.baseAddress!, $0.count) }) == 0
    else { return nil }
    return coded
  }

  private func salt() -> UInt64 {
    var random = SystemRandom()
    return random.next()
  }
}
