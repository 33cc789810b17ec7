import AtRest
import Base
import OpenSSL
import Testing

/// The streams that exports are made of.
@Suite struct ExportCodingTests {
  private func packed(_ pieces: [[UInt8]]) throws -> [UInt8] {
    let zstd = ZstdStreamCompressor()
    var output: [UInt8] = []
    for piece in pieces { try zstd.write(piece.span.bytes) { output += $0 } }
    try zstd.finish { output += $0 }
    return output
  }

  @Test("a zstd stream comes back however it is cut on either side, and always begins alike")
  func zstd() throws {
    var random = SeededGenerator(seed: 1)
    for round in 0..<12 {
      let pieces = (0..<(1 + random.below(5))).map { _ in
        (0..<random.below(round < 3 ? 20 : 400_000)).map {
          UInt8(truncatingIfNeeded: $0 % 7 == 0 ? Int(random.next() & 255) : $0)
        }
      }
      let whole = pieces.flatMap { $0 }
      guard !whole.isEmpty else { continue }
      let file = try packed(pieces)
      #expect(file.starts(with: ZstdStreamCompressor.frameStart))
      let reader = ZstdStreamDecompressor(windowLogMax: ZstdStreamCompressor.windowLog)
      var (back, at): ([UInt8], Int) = ([], 0)
      while at < file.count {
        let end = min(file.count, at + 1 + random.below(50_000))
        #expect(try reader.read(Array(file[at..<end])) { back += $0 } == end - at)
        at = end
      }
      #expect(reader.isFinished && back == whole)
      // Nothing behind the end is taken.
      #expect(try reader.read([1, 2, 3]) { _ in } == 0)
    }
  }

  @Test(
    "a long zstd stream has one frame that a reader of its window opens, and repetitions are found across its pieces")
  func longZstd() throws {
    var random = SeededGenerator(seed: 4)
    let piece = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 % 5 == 0 ? Int(random.next() & 63) : $0 / 3) }
    let file = try packed(Array(repeating: piece, count: 20))
    #expect(try file.count < 2 * packed([piece]).count)
    let reader = ZstdStreamDecompressor(windowLogMax: ZstdStreamCompressor.windowLog)
    let (got, expected) = (Hasher(.sha256), Hasher(.sha256))
    #expect(try reader.read(file) { got.update(Array($0)) } == file.count)
    for _ in 0..<20 { expected.update(piece) }
    #expect(reader.isFinished && got.finish() == expected.finish())
  }

  @Test("damaged zstd streams end with an error or early, and never give other bytes for whole")
  func damagedZstd() throws {
    var random = SeededGenerator(seed: 2)
    let whole = (0..<60_000).map { UInt8(truncatingIfNeeded: $0 / 9) }
    let file = try packed([whole])
    for _ in 0..<300 {
      var copy = file
      copy[random.below(copy.count)] ^= 1 << UInt8(random.below(8))
      let reader = ZstdStreamDecompressor(windowLogMax: ZstdStreamCompressor.windowLog)
      var back: [UInt8] = []
      do {
        _ = try reader.read(copy) { back += $0 }
        #expect(!reader.isFinished || back == whole)
      } catch let error as AtRestError { #expect(error.code == .damaged) }
    }
  }

  /// A WAV file with the header that decoders write.
  private func wav(bits: Int, channels: Int, rate: Int = 8000, sampleFrames: Int) -> [UInt8] {
    var writer = ByteWriter(capacity: 44)
    let data = sampleFrames * channels * bits / 8
    writer.put(raw: "RIFF".utf8)
    writer.put(UInt32(36 + data))
    writer.put(raw: "WAVEfmt ".utf8)
    for value in [UInt32(16), UInt32(1 | channels << 16), UInt32(rate), UInt32(rate * channels * bits / 8)] {
      writer.put(value)
    }
    writer.put(UInt16(channels * bits / 8))
    writer.put(UInt16(bits))
    writer.put(raw: "data".utf8)
    writer.put(UInt32(data))
    return writer.bytes + (0..<data).map { UInt8(truncatingIfNeeded: $0 / 400) }
  }

  @Test("plain WAV files have a shape, and no other file has")
  func shapes() throws {
    for bits in [8, 16] {
      for channels in [1, 2] {
        let file = wav(bits: bits, channels: channels, sampleFrames: 1000)
        let shape = try #require(FLACFile.Shape(front: file, fileBytes: file.count))
        #expect(shape.bits == bits && shape.channels == channels && shape.rate == 8000 && shape.sampleFrames == 1000)
        #expect(FLACFile.Shape(front: file, fileBytes: file.count + 2) == nil)
        #expect(FLACFile.Shape(front: Array(file.prefix(43)), fileBytes: file.count) == nil)
        for byte in 0..<44 {
          var copy = file
          copy[byte] ^= 0x40
          #expect(FLACFile.Shape(front: copy, fileBytes: file.count) == nil, "byte \(byte)")
        }
      }
    }
    #expect(FLACFile.Shape(front: wav(bits: 24, channels: 1, sampleFrames: 4), fileBytes: 56) == nil)
    let odd = wav(bits: 8, channels: 1, sampleFrames: 3)
    #expect(FLACFile.Shape(front: odd, fileBytes: odd.count) == nil)
  }

  @Test("a FLAC file is the same however its samples are cut, has their MD5, and is smaller")
  func flac() throws {
    var random = SeededGenerator(seed: 3)
    for (bits, channels) in [(16, 1), (16, 2), (8, 1), (8, 2)] {
      let file = wav(bits: bits, channels: channels, sampleFrames: 20_000)
      let shape = try #require(FLACFile.Shape(front: file, fileBytes: file.count))
      let samples = Array(file.dropFirst(FLACFile.Shape.headerBytes))
      var results: Set<[UInt8]> = []
      for round in 0..<3 {
        let encoder = try #require(FLACFile(shape))
        var (body, at): ([UInt8], Int) = ([], 0)
        while at < samples.count {
          let end = round == 0 ? samples.count : min(samples.count, at + 1 + random.below(9000))
          body += try #require(encoder.update(Array(samples[at..<end])))
          at = end
        }
        let (head, tail) = try #require(encoder.finish())
        #expect(Array(head.suffix(16)) == md5(bits == 16 ? samples : samples.map { $0 ^ 0x80 }))
        results.insert(head + body + tail)
      }
      #expect(results.count == 1 && results.first!.count < file.count && results.first!.starts(with: "fLaC".utf8))
      // A cut sample is no whole file.
      let cut = try #require(FLACFile(shape))
      _ = cut.update(Array(samples.dropLast(bits == 16 || channels == 2 ? 1 : 0)))
      #expect(bits == 8 && channels == 1 || cut.finish() == nil)
    }
  }

  private func md5(_ bytes: [UInt8]) -> [UInt8] {
    let hasher = Hasher(.md5)
    hasher.update(bytes)
    return hasher.finish()
  }
}
