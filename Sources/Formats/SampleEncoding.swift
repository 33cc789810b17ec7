// How a sample of a WAV file stands in its bytes. Layout: Formats.docc/audio-chunk.md.

public enum SampleEncoding: UInt8, Sendable, CaseIterable {
  /// One byte, unsigned: 128 is silence.
  case pcm8 = 1
  /// Two, three, four bytes, little-endian, two's complement.
  case pcm16 = 2
  case pcm24 = 3
  case pcm32 = 4
  /// G.711, one byte.
  case aLaw = 5
  case muLaw = 6

  /// Of one sample of one channel.
  public var bytes: Int {
    switch self {
    case .pcm8, .aLaw, .muLaw: 1
    case .pcm16: 2
    case .pcm24: 3
    case .pcm32: 4
    }
  }

  /// G.711 bytes are coded by their rank in amplitude order, the others as they are.
  public var isG711: Bool { self == .aLaw || self == .muLaw }
}
