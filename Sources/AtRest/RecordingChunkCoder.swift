// A chunk of a recording: coded losslessly, then sealed under the recording's key, in a frame that says whose it is.
//
// What was coded is decoded and compared before it counts. What does not get smaller is stored as it is.

package import Base
import Formats
import Glibc
package import OpenSSL

/// One chunk as it goes into a volume.
package struct SealedChunk: Sendable {
  package enum Coding: String, Sendable {
    case stored, zstd, audio

    var inHeader: ChunkHeader.Coding {
      switch self {
      case .stored: .stored
      case .zstd: .zstd
      case .audio: .audio
      }
    }
  }

  package var coding: Coding
  /// Header, cipher text and tag.
  package var bytes: [UInt8]
}

/// One chunk out of its seal, still as it was coded.
package struct CodedChunk: Sendable {
  fileprivate var coding: ChunkHeader.Coding
  package var originalBytes: Int
  fileprivate var bytes: [UInt8]

  /// A chunk that is stored as it is.
  package init(stored original: [UInt8]) {
    coding = .stored
    originalBytes = original.count
    bytes = original
  }

  fileprivate init(_ header: ChunkHeader, _ bytes: [UInt8]) {
    coding = header.coding
    originalBytes = Int(header.originalBytes)
    self.bytes = bytes
  }

  /// The original bytes. `.damaged` when they do not come out as long as they were.
  package func decoded() throws(AtRestError) -> [UInt8] {
    let original: [UInt8]
    switch coding {
    case .zstd: original = try Zstd.decompress(bytes, limit: originalBytes)
    case .audio: original = try AudioChunkCoder.decode(bytes, originalBytes: originalBytes)
    default: original = bytes
    }
    guard original.count == originalBytes else {
      throw AtRestError(.damaged, "a chunk of \(original.count) bytes whose header says \(originalBytes)")
    }
    return original
  }
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

  /// `original` has at most `Limits.recordingChunkBytes`; `audio` is that of its recording when it is one of calls.
  /// Blocks for about a millisecond.
  package func seal(
    _ original: RawSpan, number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID,
    audio: AudioChunkCoder? = nil
  ) -> SealedChunk {
    precondition(original.byteCount <= Limits.recordingChunkBytes, "a chunk is too long")
    let (coding, smaller) = coded(original, number: number, audio: audio)
    let header = ChunkHeader(
      coding: coding.inHeader, isLast: isLast, recording: recording, number: UInt32(number),
      originalBytes: UInt32(original.byteCount), codedBytes: UInt32(smaller?.count ?? original.byteCount), salt: salt())
    // A span is no value that `??` could take.
    let bytes = if let smaller { seal(smaller.span.bytes, header, key) } else { seal(original, header, key) }
    return SealedChunk(coding: coding, bytes: bytes)
  }

  /// The frame of a chunk that was coded before, for another account, recording or place: nothing is coded again.
  package func reseal(
    _ chunk: CodedChunk, number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID
  ) -> [UInt8] {
    let header = ChunkHeader(
      coding: chunk.coding, isLast: isLast, recording: recording, number: UInt32(number),
      originalBytes: UInt32(chunk.originalBytes), codedBytes: UInt32(chunk.bytes.count), salt: salt())
    return seal(chunk.bytes.span.bytes, header, key)
  }

  private func seal(_ coded: RawSpan, _ header: ChunkHeader, _ key: SecretBytes) -> [UInt8] {
    var bytes = header.encode()
    bytes.reserveCapacity(header.frameBytes + VolumeEntry.checksumBytes)
    coded.withUnsafeBytes { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: repeatElement(0, count: ChunkHeader.tagBytes))
    let (nonce, aad) = (header.nonce, header.binding(account))
    let end = ChunkHeader.byteCount + coded.byteCount
    var span = bytes.mutableSpan
    var frame = span.mutableBytes
    AESGCM(key: key).sealInPlace(
      &frame, text: ChunkHeader.byteCount..<end, tag: end, nonce: nonce.span.bytes, aad: aad.span.bytes)
    return bytes
  }

  package func seal(
    _ original: [UInt8], number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID,
    audio: AudioChunkCoder? = nil
  ) -> SealedChunk {
    seal(original.span.bytes, number: number, isLast: isLast, key: key, recording: recording, audio: audio)
  }

  /// The original bytes of the frame that `frame` is. `.damaged` when it is not chunk `number` of this recording and
  /// account, or not the last one when `isLast` says so; `.refused` for a coding that this version does not know.
  package func open(
    _ frame: [UInt8], number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID
  ) throws(AtRestError) -> [UInt8] {
    try openCoded(frame, number: number, isLast: isLast, key: key, recording: recording).decoded()
  }

  /// As `open`, up to the coding.
  package func openCoded(
    _ frame: [UInt8], number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID
  ) throws(AtRestError) -> CodedChunk {
    let header = try header(frame[...], number: number, isLast: isLast, recording: recording)
    let sealed = frame.span.bytes.extracting(droppingFirst: ChunkHeader.byteCount)
    let (nonce, aad) = (header.nonce, header.binding(account))
    guard let coded = AESGCM(key: key).open(sealed, nonce: nonce.span.bytes, aad: aad.span.bytes) else {
      throw AtRestError(.damaged, "a chunk of a recording does not open", at: ChunkHeader.byteCount)
    }
    return CodedChunk(header, coded)
  }

  /// Whether the seal of the frame that lies in `place` holds; what lies there is something else afterwards.
  package func authenticate(
    _ bytes: inout [UInt8], _ place: Range<Int>, number: Int, isLast: Bool, key: SecretBytes, recording: RecordingID
  ) -> Bool {
    guard let header = try? header(bytes[place], number: number, isLast: isLast, recording: recording) else {
      return false
    }
    let text = (place.lowerBound + ChunkHeader.byteCount)..<(place.upperBound - ChunkHeader.tagBytes)
    let (nonce, aad) = (header.nonce, header.binding(account))
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    return AESGCM(key: key).openInPlace(
      &raw, text: text, tag: text.upperBound, nonce: nonce.span.bytes, aad: aad.span.bytes)
  }

  /// The header of a frame that is this chunk's, as far as it says itself.
  private func header(
    _ frame: ArraySlice<UInt8>, number: Int, isLast: Bool, recording: RecordingID
  ) throws(AtRestError) -> ChunkHeader {
    let header: ChunkHeader
    do throws(FormatError) { header = try ChunkHeader(front: frame) } catch { throw AtRestError(error) }
    guard header.recording == recording, header.number == UInt32(number), header.isLast == isLast else {
      throw AtRestError(.damaged, "a chunk of another place: \(header.recording), number \(header.number)")
    }
    guard header.frameBytes == frame.count else {
      throw AtRestError(.damaged, "a chunk of \(frame.count) bytes whose header says \(header.frameBytes)")
    }
    try Self.check(header.coding)
    return header
  }

  static func check(_ coding: ChunkHeader.Coding) throws(AtRestError) {
    switch coding {
    case .stored, .zstd, .audio: break
    default: throw AtRestError(.refused, "a chunk of unknown coding \(coding.rawValue)", at: 5)
    }
  }

  /// The coding that is smallest, and its bytes; none for a chunk that is stored. Audio that saves less than a twentieth
  /// is not what its header says: text or silence behind the samples, where zstd may do better.
  private func coded(
    _ original: RawSpan, number: Int, audio: AudioChunkCoder?
  ) -> (SealedChunk.Coding, bytes: [UInt8]?) {
    guard let level else { return (.stored, nil) }
    let samples = audio?.encode(original, at: number * Limits.recordingChunkBytes)
    if let samples, samples.count <= original.byteCount - original.byteCount / 20 { return (.audio, samples) }
    let smaller = compressed(original, level: level)
    if let samples, samples.count <= smaller?.count ?? original.byteCount { return (.audio, samples) }
    return (smaller == nil ? .stored : .zstd, smaller)
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
