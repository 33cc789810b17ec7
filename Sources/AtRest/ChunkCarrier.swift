// Carries one recording's sealed chunks from an account to another: opened, which proves whose and which they are, and sealed
// anew where they lie, under the other account's key. Nothing is decoded, so what they decode to is for somebody else to know.

package import Base
import Formats
package import OpenSSL

/// Used by one thread at a time: its ciphers have no lock.
package final class ChunkCarrier: Sendable {
  private let recording: RecordingID
  private let from: AccountID
  private let to: AccountID
  private let opening: AESGCM
  private let sealing: AESGCM

  /// The recording has the same id in both accounts, and a key of its own in each.
  package init(_ recording: RecordingID, from: AccountID, _ key: SecretBytes, to: AccountID, _ newKey: SecretBytes) {
    self.recording = recording
    self.from = from
    self.to = to
    opening = AESGCM(key: key)
    sealing = AESGCM(key: newKey)
  }

  /// `frame`, header, cipher text and tag, becomes the frame of the same coded bytes in the other account. `.damaged` when it
  /// is not chunk `number` of the recording in its account, or not the last one where `isLast` says so; `.refused` for a
  /// coding that this version does not know. What is left in `frame` is then worth nothing.
  package func carry(_ frame: inout [UInt8], number: Int, isLast: Bool) throws(AtRestError) {
    let header: ChunkHeader
    do throws(FormatError) { header = try ChunkHeader(front: frame[...]) } catch { throw AtRestError(error) }
    guard header.recording == recording, header.number == UInt32(number), header.isLast == isLast else {
      throw AtRestError(.damaged, "a chunk of another place: \(header.recording), number \(header.number)")
    }
    guard header.frameBytes == frame.count else {
      throw AtRestError(.damaged, "a chunk of \(frame.count) bytes whose header says \(header.frameBytes)")
    }
    try RecordingChunkCoder.check(header.coding)
    var random = SystemRandom()
    var next = header
    next.salt = random.next()
    let end = frame.count - ChunkHeader.tagBytes
    frame.reserveCapacity(frame.count + VolumeEntry.checksumBytes)
    guard open(&frame, header, upTo: end) else {
      throw AtRestError(.damaged, "a chunk of a recording does not open", at: ChunkHeader.byteCount)
    }
    frame.replaceSubrange(..<ChunkHeader.byteCount, with: next.encode())
    seal(&frame, next, upTo: end)
  }

  private func open(_ frame: inout [UInt8], _ header: ChunkHeader, upTo end: Int) -> Bool {
    let (nonce, aad) = (header.nonce, header.binding(from))
    var span = frame.mutableSpan
    var raw = span.mutableBytes
    return opening.openInPlace(
      &raw, text: ChunkHeader.byteCount..<end, tag: end, nonce: nonce.span.bytes, aad: aad.span.bytes)
  }

  private func seal(_ frame: inout [UInt8], _ header: ChunkHeader, upTo end: Int) {
    let (nonce, aad) = (header.nonce, header.binding(to))
    var span = frame.mutableSpan
    var raw = span.mutableBytes
    sealing.sealInPlace(
      &raw, text: ChunkHeader.byteCount..<end, tag: end, nonce: nonce.span.bytes, aad: aad.span.bytes)
  }
}
