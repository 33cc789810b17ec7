// What a channel's coded numbers stand for: the samples themselves, or ranks in an ascending table of values. Layout:
// Formats.docc/audio-chunk.md.
//
// A leg that came over G.711 has at most 256 different values, far apart where it is loud. Their ranks are small and
// dense, which is what a predictor and an entropy coder want.

public enum ChannelMapping: Sendable, Equatable {
  /// The samples themselves.
  case plain
  /// Ranks among the 255 values of G.711's mu-law.
  case muLaw
  /// Ranks among the 256 values of G.711's A-law.
  case aLaw
  /// Ranks in this table: 1 to 256 values, ascending.
  case table([Int16])

  var code: UInt8 {
    switch self {
    case .plain: 0
    case .muLaw: 1
    case .aLaw: 2
    case .table: 3
    }
  }
}
