// Audio chunks come back as they were, each kind by the coder that it is meant for.

import AtRest
import Base
import Formats
import OpenSSL
import Testing

struct AudioChunkTests {
  private typealias Kind = CallSignal.Kind
  private let signal = CallSignal(seed: 1)

  private func header(_ coded: [UInt8]) throws -> AudioChunkHeader { try AudioChunkHeader.take(coded[...]).header }

  /// Codes every chunk of a file and checks what comes back; gives the bytes of the chunks that are audio, and of these
  /// chunks before.
  @discardableResult
  private func roundTrip(
    _ file: [UInt8], _ policy: AudioPolicy, front: Int = Limits.recordingChunkBytes
  ) throws -> (coded: Int, original: Int) {
    var sum = (coded: 0, original: 0)
    guard let coder = AudioChunkCoder(front: Array(file.prefix(front)), fileBytes: file.count, policy: policy) else {
      return sum
    }
    for start in stride(from: 0, to: file.count, by: Limits.recordingChunkBytes) {
      let chunk = Array(file[start..<min(file.count, start + Limits.recordingChunkBytes)])
      guard let coded = coder.encode(chunk, at: start) else { continue }
      #expect(try AudioChunkCoder.decode(coded, originalBytes: chunk.count) == chunk)
      sum = (sum.coded + coded.count, sum.original + chunk.count)
    }
    return sum
  }

  @Test("each kind is coded by the mapping and the coder that are meant for it, and gets as small as it should")
  func kinds() throws {
    let expected: [(kind: Kind, mapping: ChannelMapping, coder: AudioChunkHeader.Coder, share: Double)] = [
      (.stereoOverG711, .muLaw, .hybrid, 0.36), (.stereoOverALaw, .aLaw, .hybrid, 0.36),
      (.oneLegOverG711, .muLaw, .flac, 0.45), (.wideband, .plain, .flac, 0.55), (.silence, .muLaw, .hybrid, 0.01),
      (.pcm8, .plain, .flac, 0.35), (.pcm24, .plain, .flac, 0.75), (.pcm32, .plain, .flac, 0.85),
      (.muLaw, .plain, .hybrid, 0.75), (.aLaw, .plain, .hybrid, 0.75),
    ]
    for (kind, mapping, coder, share) in expected {
      let file = signal.file(kind, sampleFrames: 30_000)
      let audio = try #require(AudioChunkCoder(front: file))
      let coded = try #require(audio.encode(file, at: 0), "\(kind)")
      #expect(try header(coded).mappings[0] == mapping, "\(kind)")
      #expect(try header(coded).coder == coder, "\(kind)")
      #expect(Double(coded.count) < share * Double(file.count), "\(kind): \(coded.count) of \(file.count)")
      #expect(try AudioChunkCoder.decode(coded, originalBytes: file.count) == file, "\(kind)")
    }
  }

  @Test("a leg over G.711 whose loudness was changed gets a table of its own values, where that is smaller")
  func tables() throws {
    let file = signal.file(.louderG711, sampleFrames: 60_000)
    let audio = try #require(AudioChunkCoder(front: file))
    let coded = try #require(audio.encode(file, at: 0))
    let header = try header(coded)
    for mapping in header.mappings {
      guard case .table(let values) = mapping else {
        Issue.record("no table: \(mapping)")
        continue
      }
      #expect(values == values.sorted() && Set(values).count == values.count && values.count <= 255)
    }
    #expect(coded.count < file.count * 36 / 100)
    #expect(try AudioChunkCoder.decode(coded, originalBytes: file.count) == file)
    // A hundred milliseconds have few values too, but a table would cost more than it gives.
    let short = signal.file(.wideband, channels: 1, sampleFrames: 200)
    let plain = try #require(AudioChunkCoder(front: short)?.encode(short, at: 0))
    #expect(try self.header(plain).mappings == [.plain])
  }

  @Test("every kind, number of channels and odd length comes back under every policy")
  func lengths() throws {
    for kind in Kind.allCases {
      for channels in 1...8 {
        let data = signal.data(kind, channels: channels, sampleFrames: 1025)
        for sampleFrames in [0, 1, 2, 15, 17, 257, 800, 1025] {
          let part = data.prefix(sampleFrames * channels * kind.encoding.bytes)
          let file = WAVFile(encoding: kind.encoding, channels: channels).header(dataBytes: part.count) + part
          for policy in AudioPolicy.allCases { try roundTrip(file, policy) }
        }
      }
    }
  }

  @Test("chunks that cut sample frames apart come back, and what is left of a frame at a border is kept as it is")
  func borders() throws {
    for (kind, channels) in [
      (Kind.pcm24, 1), (.pcm24, 5), (.wideband, 3), (.stereoOverG711, 7), (.muLaw, 6), (.pcm32, 3),
    ] {
      var file = WAVFile(encoding: kind.encoding, channels: channels)
      file.first = WAVFile.chunk("JUNK", [UInt8](repeating: 7, count: 301), padded: false)
      let data = signal.data(kind, channels: channels, sampleFrames: 530_000 / channels / kind.encoding.bytes)
      for policy in AudioPolicy.allCases {
        let sizes = try roundTrip(file.header(dataBytes: data.count) + data, policy)
        #expect(sizes.original > 530_000 && sizes.coded < sizes.original * 9 / 10, "\(kind), \(channels) channels")
      }
    }
  }

  @Test("headers with lies in them, chunks around the samples and long text behind them come back")
  func oddFiles() throws {
    let data = signal.data(.stereoOverG711, channels: 2, sampleFrames: 5000)
    let text = WAVFile.chunk("LIST", Array(String(repeating: "agent 7, queue 3; ", count: 300).utf8))
    var files = [WAVFile(encoding: .pcm16, channels: 2)]
    for size in [0, 7, 4000, .max] as [UInt32] {
      files.append(WAVFile(encoding: .pcm16, channels: 2, riffSize: size, dataSize: size))
    }
    files.append(WAVFile(encoding: .pcm16, channels: 2, isExtensible: true, first: text, between: text))
    files.append(WAVFile(encoding: .pcm16, channels: 2, riff: "RF64", dataSize: .max))
    for file in files {
      for trailer in [[], [1], [1, 2, 3], text, text + [9]] {
        let sizes = try roundTrip(file.header(dataBytes: data.count) + data + trailer, .smallest)
        #expect(sizes.coded < sizes.original / 2 && sizes.original > 20_000)
      }
    }
  }

  @Test("every beginning of a file comes back")
  func prefixes() throws {
    for kind in [Kind.stereoOverG711, .pcm24, .muLaw] {
      let file = signal.file(kind, sampleFrames: 60)
      for count in 0...file.count { try roundTrip(Array(file[..<count]), .smallest) }
    }
  }

  @Test("noise is not coded, silence hardly needs bytes, and neither do samples of any one value")
  func extremes() throws {
    for encoding in SampleEncoding.allCases {
      let header = WAVFile(encoding: encoding, channels: 2).header(dataBytes: 100_000)
      for policy in AudioPolicy.allCases {
        #expect(try roundTrip(header + SystemRandom.bytes(100_000), policy).coded == 0, "\(encoding)")
        for value in [0, 0x55, 0x7F, 0x80, 0xFF] as [UInt8] {
          let sizes = try roundTrip(header + [UInt8](repeating: value, count: 100_000), policy)
          #expect(sizes.coded < 4000 && sizes.original > 100_000, "\(encoding), all \(value)")
        }
      }
    }
  }

  @Test("samples at the ends of their range come back")
  func ends() throws {
    var random = SeededGenerator(seed: 4)
    for encoding in SampleEncoding.allCases {
      // Runs of the least and the greatest sample: the widest residuals there are.
      var data: [UInt8] = []
      while data.count < 60_000 {
        let low = random.oneIn(2)
        for _ in 0..<(1 + random.below(40)) {
          for byte in 1...encoding.bytes {
            let top: UInt8 = encoding == .pcm8 ? 0 : 0x80
            data.append(byte == encoding.bytes ? (low ? top : ~top) : (low ? 0 : 0xFF))
          }
        }
      }
      for channels in [1, 2] {
        let file = WAVFile(encoding: encoding, channels: channels).header(dataBytes: data.count) + data
        // FLAC has no residuals of 33 bits: 32-bit samples like these do not get smaller.
        for policy in AudioPolicy.allCases {
          #expect(try (roundTrip(file, policy).coded > 0) == (encoding != .pcm32), "\(encoding) \(policy)")
        }
      }
    }
  }

  @Test("a chunk eight hours into a recording finds its sample frames, however they lie across the chunks before it")
  func farChunks() throws {
    let signal = CallSignal(seed: 5)
    let front = WAVFile(encoding: .pcm24, channels: 5, dataSize: 0).header(dataBytes: 0)
    let audio = try #require(AudioChunkCoder(front: front + [UInt8](repeating: 0, count: 600)))
    let data = signal.data(.pcm24, channels: 5, sampleFrames: 2 + Limits.recordingChunkBytes / 15)
    // 8 h of 8,000 sample frames of 15 bytes a second.
    for number in 13_180..<13_195 {
      let offset = number * Limits.recordingChunkBytes
      let late = (offset - front.count) % 15
      let chunk = Array(data[late..<late + Limits.recordingChunkBytes])
      let coded = try #require(audio.encode(chunk, at: offset))
      #expect(try header(coded).front.originalBytes == (15 - late) % 15)
      #expect(try AudioChunkCoder.decode(coded, originalBytes: chunk.count) == chunk)
      #expect(coded.count < chunk.count * 8 / 10)
    }
  }

  @Test("a chunk with no samples in it, before or behind them, is not audio")
  func noSamples() {
    let audio = AudioChunkCoder(shape: WAVShape(encoding: .pcm16, channels: 2, data: 300_000..<400_000))
    let zeros = [UInt8](repeating: 0, count: 1000)
    #expect(audio.encode(zeros, at: 0) == nil && audio.encode(zeros, at: 299_003) == nil)
    #expect(audio.encode(zeros, at: 400_000) == nil && audio.encode([], at: 350_000) == nil)
    #expect(audio.encode(zeros, at: 299_400) != nil && audio.encode(zeros, at: 399_900) != nil)
  }
}
