// Sound as calls have it, made from a seed: voiced syllables with pauses over line noise, each channel another speaker;
// and the WAV files that recorders make of it.

import Base
import Formats
import Glibc

struct CallSignal {
  enum Kind: CaseIterable {
    case stereoOverG711, stereoOverALaw, louderG711, oneLegOverG711, wideband, silence, pcm8, pcm24, pcm32, muLaw, aLaw

    var encoding: SampleEncoding {
      switch self {
      case .pcm8: .pcm8
      case .pcm24: .pcm24
      case .pcm32: .pcm32
      case .muLaw: .muLaw
      case .aLaw: .aLaw
      default: .pcm16
      }
    }
  }

  var seed: UInt64

  /// A WAV file with the usual header.
  func file(_ kind: Kind, channels: Int = 2, sampleFrames: Int) -> [UInt8] {
    let data = data(kind, channels: channels, sampleFrames: sampleFrames)
    return WAVFile(encoding: kind.encoding, channels: channels).header(dataBytes: data.count) + data
  }

  func data(_ kind: Kind, channels: Int, sampleFrames: Int) -> [UInt8] {
    let legs = (0..<channels).map { channel in
      leg(channel, sampleFrames).map { Self.number($0, kind, channel) }
    }
    var w = ByteWriter(capacity: channels * sampleFrames * kind.encoding.bytes)
    for i in 0..<sampleFrames {
      for leg in legs { for byte in 0..<kind.encoding.bytes { w.put(UInt8(truncatingIfNeeded: leg[i] >> (8 * byte))) } }
    }
    return w.bytes
  }

  /// 16-bit samples and 8 bits more, for the wider kinds.
  private func leg(_ channel: Int, _ count: Int) -> [Int] {
    var random = SeededGenerator(seed: seed &* 31 &+ UInt64(channel))
    let pitch = 90 + Double(random.below(120))
    var loud = 0.0
    return (0..<count).map { i in
      if i % 1600 == 0 { loud = random.oneIn(3) ? 0 : Double(500 + random.below(5000)) }
      let t = Double(i) / 8000
      let voice = (1...5).reduce(0.0) { $0 + sin(2 * .pi * pitch * Double($1) * t + Double($1)) / Double($1) }
      let swell = sin(.pi * Double(i % 1600) / 1600)
      return Int((voice * swell * loud + Double(random.below(81) - 40)) * 256)
    }
  }

  private static func number(_ wide: Int, _ kind: Kind, _ channel: Int) -> Int {
    let sample = max(-32768, min(32767, wide >> 8))
    switch kind {
    case .stereoOverG711: return Law.mu.nearest(sample)
    case .stereoOverALaw: return Law.a.nearest(sample)
    case .louderG711: return max(-32768, min(32767, Law.mu.nearest(sample) * 5 / 4))
    case .oneLegOverG711: return channel % 2 == 0 ? Law.mu.nearest(sample) : sample
    case .wideband: return sample
    case .silence: return 0
    case .pcm8: return sample >> 8 + 128
    case .pcm24: return wide
    case .pcm32: return wide << 8 | wide & 255
    case .muLaw: return Law.mu.code(sample)
    case .aLaw: return Law.a.code(sample)
    }
  }
}
