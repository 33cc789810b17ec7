// One number for a set of sealed frames as they lie in packs, in whatever order and pack: what a proof says was decoded.
//
// Each frame has a mark, HMAC-SHA256 under a key of the account over everything of it that is not its cipher text: header
// (with kind, coding, lengths, name), nonce, tag, checksum. A frame that opens and has the same mark is the same bytes:
// the tag holds the cipher text. The digest is the sum of the marks modulo 2^256. As they are keyed, nobody without keys
// can look for other frames with the same sum; whoever has the keys could sign any proof.
//
// Being a sum it is made by any number of threads in any order, kept between runs, and survives frames that move from one
// pack to another.

import Base
package import Formats
import OpenSSL

/// A frame as it was read, its checksum compared.
package struct StoredFrame: Sendable {
  package var header: PackFrameHeader
  package var body: ArraySlice<UInt8>
  /// The last four bytes, as they lie there.
  package var checksum: ArraySlice<UInt8>

  package init(header: PackFrameHeader, body: ArraySlice<UInt8>, checksum: ArraySlice<UInt8>) {
    self.header = header
    self.body = body
    self.checksum = checksum
  }
}

/// 32 bytes that stand for one frame.
package struct FrameMark: Sendable, Hashable {
  fileprivate var low: UInt128
  fileprivate var high: UInt128

  /// Of the body these many bytes at the front and at the end: nonce or a recording chunk's own header, and the tag.
  private static let frontBytes = ChunkHeader.byteCount
  private static let tagBytes = 16
  static let messageBytesMax = PackFrameHeader.byteCount + frontBytes + tagBytes + 4

  package init(_ frame: StoredFrame, _ keys: ArchiveKeys) {
    var message = frame.header.encode()
    message.append(contentsOf: frame.body.prefix(Self.frontBytes))
    message.append(contentsOf: frame.body.suffix(Self.tagBytes))
    message.append(contentsOf: frame.checksum)
    self.init(message, keys)
  }

  /// Of a whole frame whose header says this length.
  package init(raw frame: RawSpan, _ keys: ArchiveKeys) {
    let bodyBytes = frame.byteCount - PackFrameHeader.overhead
    precondition(bodyBytes >= 0, "a frame is longer than its header")
    let front = PackFrameHeader.byteCount + min(bodyBytes, Self.frontBytes)
    var message: [UInt8] = []
    message.reserveCapacity(Self.messageBytesMax)
    frame.extracting(first: front).withUnsafeBytes { message.append(contentsOf: $0) }
    frame.extracting(last: min(bodyBytes, Self.tagBytes) + 4).withUnsafeBytes { message.append(contentsOf: $0) }
    self.init(message, keys)
  }

  private init(_ message: [UInt8], _ keys: ArchiveKeys) {
    let hash = HMACSHA256.authenticate(message.span.bytes, key: keys.frameMarks)
    (high, low) = (ChunkName(bytes: hash).high, ChunkName(bytes: hash).low)
  }
}

package struct FrameDigest: Sendable, Hashable {
  private var low: UInt128 = 0
  private var high: UInt128 = 0
  /// Frames in it.
  package private(set) var count: UInt64 = 0

  package init() {}

  package mutating func add(_ mark: FrameMark) { add(mark.low, mark.high, 1) }

  package mutating func add(_ frame: StoredFrame, _ keys: ArchiveKeys) { add(FrameMark(frame, keys)) }

  /// The digest of both sets together; one that is in both counts twice.
  package mutating func add(_ other: FrameDigest) { add(other.low, other.high, other.count) }

  private mutating func add(_ low: UInt128, _ high: UInt128, _ count: UInt64) {
    let sum = self.low.addingReportingOverflow(low)
    self.low = sum.partialValue
    self.high = self.high &+ high &+ (sum.overflow ? 1 : 0)
    self.count &+= count
  }

  /// 32, the most significant first.
  package var bytes: [UInt8] {
    var writer = ByteWriter(capacity: ProvenFrames.digestBytes)
    for word in [high, low] {
      for shift in stride(from: 120, through: 0, by: -8) {
        writer.put(UInt8(truncatingIfNeeded: word >> UInt128(shift)))
      }
    }
    return writer.bytes
  }

  /// Whether these are the frames of a proof.
  package func matches(_ proven: ProvenFrames) -> Bool { count == proven.count && bytes == proven.digest }
}
