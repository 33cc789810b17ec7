// Where the samples of a WAV file lie and how they stand there, read from its first bytes.
//
// Recorders of calls write sizes before they know them, pad or forget to, and append what they like. So the sizes are
// hints: data runs to the end of the file where its size cannot be true, and what is not samples is kept as it is. A
// wrong guess costs space, never a byte. What is not surely a WAV file of a known kind has no shape.

import Base
package import Formats

package struct WAVShape: Sendable, Equatable {
  package var encoding: SampleEncoding
  package var channels: Int
  /// Bytes of the file with samples; to `Int.max` when they run to its end, however long it gets.
  package var data: Range<Int>

  package var sampleFrameBytes: Int { channels * encoding.bytes }

  package init(encoding: SampleEncoding, channels: Int, data: Range<Int>) {
    self.encoding = encoding
    self.channels = channels
    self.data = data
  }

  /// From the file's first bytes, at best its first chunk; `fileBytes` is the whole file's length where that is known.
  package init?(front bytes: [UInt8], fileBytes: Int? = nil) {
    var reader = WAVReader(
      bytes, fileBytes: fileBytes ?? (bytes.count < Limits.recordingChunkBytes ? bytes.count : nil))
    guard let shape = reader.shape() else { return nil }
    self = shape
  }
}
