// Opens chunks of recordings: what the archive itself cannot, because they lie in it under each recording's own key.

package import AtRest
package import Base
import Formats
package import OpenSSL

/// A chunk of a recording out of its seal: as it was recorded, and as it was coded.
package struct OpenedChunk: Sendable {
  package var original: [UInt8]
  package var coded: CodedChunk

  /// `original` must be what `coded` decodes to.
  package init(original: [UInt8], coded: CodedChunk) {
    self.original = original
    self.coded = coded
  }
}

package protocol RecordingOpener: Sendable {
  /// False when the recording's key was destroyed: it is erased, here and in every archive.
  func hasKey(_ recording: RecordingID) -> Bool
  /// Nil when it was destroyed, or is not to be had outside.
  func key(of recording: RecordingID) -> SecretBytes?
  /// Chunk `number` of a recording of `count` chunks; nil when the seal does not hold or nothing comes out.
  func open(_ sealed: ArraySlice<UInt8>, number: Int, count: Int, of recording: RecordingID) -> OpenedChunk?
  /// Whether the seal of the chunk that lies in `place` holds; what lies there is something else afterwards.
  func authenticate(_ bytes: inout [UInt8], _ place: Range<Int>, number: Int, count: Int, of recording: RecordingID)
    -> Bool
  /// The keyed hash of a chunk's original bytes.
  func name(ofChunk original: [UInt8]) -> [UInt8]
}

extension RecordingOpener {
  package func key(of recording: RecordingID) -> SecretBytes? { nil }

  package func authenticate(
    _ bytes: inout [UInt8], _ place: Range<Int>, number: Int, count: Int, of recording: RecordingID
  ) -> Bool { open(bytes[place], number: number, count: count, of: recording) != nil }

  /// Hash over the names of a recording's chunks in order.
  package static func root(_ names: [[UInt8]]) -> [UInt8] { RecordingRoot.hash(names) }
}
