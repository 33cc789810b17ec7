// Which coder a recording's samples go through. Any policy's chunks are decoded by all.

import Formats

package enum AudioPolicy: String, Sendable, CaseIterable {
  /// The hybrid for what came over G.711, where it is both smaller and faster than FLAC; FLAC for the rest.
  case smallest
  /// The hybrid wherever it is defined, samples of at most 16 bits: 2 % more bytes for half of the time.
  case fastest
  /// FLAC for everything, so that any FLAC decoder has the numbers.
  case flac

  /// The coder for numbers that were mapped as the header says.
  func coder(_ header: AudioChunkHeader) -> AudioChunkHeader.Coder {
    switch self {
    case .smallest: header.encoding.isG711 || !header.mappings.contains(.plain) ? .hybrid : .flac
    case .fastest: header.encoding.bytes <= 2 ? .hybrid : .flac
    case .flac: .flac
    }
  }
}
