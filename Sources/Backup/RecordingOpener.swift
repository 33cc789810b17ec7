// Opens chunks of recordings: what the archive itself cannot, because they lie in it under each recording's own key.

package import Base
import Formats

package protocol RecordingOpener: Sendable {
  /// False when the recording's key was destroyed: it is erased, here and in every archive.
  func hasKey(_ recording: RecordingID) -> Bool
  /// The original bytes of chunk `number` of a recording of `count` chunks; nil when the seal does not hold.
  func open(_ sealed: ArraySlice<UInt8>, number: Int, count: Int, of recording: RecordingID) -> [UInt8]?
  /// The keyed hash of a chunk's original bytes.
  func name(ofChunk original: [UInt8]) -> [UInt8]
}

extension RecordingOpener {
  /// Hash over the names of a recording's chunks in order.
  package static func root(_ names: [[UInt8]]) -> [UInt8] { RecordingRoot.hash(names) }
}
