// Audio chunks that are not what an encoder made are refused, whatever was done to them.

import AtRest
import Base
import Formats
import OpenSSL
import Testing

struct AudioChunkDamageTests {
  /// A short chunk of each kind and policy, with what it was made of.
  private func chunks() throws -> [(coded: [UInt8], original: [UInt8])] {
    try CallSignal.Kind.allCases.flatMap { kind in
      try AudioPolicy.allCases.map { policy in
        let original = CallSignal(seed: 2).file(kind, sampleFrames: 2200)
        let audio = try #require(AudioChunkCoder(front: original, policy: policy))
        return (try #require(audio.encode(original, at: 0), "\(kind)"), original)
      }
    }
  }

  /// True when it was refused; what is not refused must be right.
  private func refuses(_ coded: [UInt8], _ original: [UInt8]) -> Bool {
    do {
      #expect(try AudioChunkCoder.decode(coded, originalBytes: original.count) == original)
      return false
    } catch {
      #expect(error.code != .io && error.code != .closed, "\(error)")
      return true
    }
  }

  @Test("a chunk is decoded for its own length only")
  func length() throws {
    for (coded, original) in try chunks() {
      for wrong in [0, 1, original.count - 1, original.count + 1, Limits.recordingChunkBytes] {
        #expect(code { _ = try AudioChunkCoder.decode(coded, originalBytes: wrong) } == .damaged)
      }
    }
  }

  @Test("a later version, encoding or coder is refused as such")
  func versions() throws {
    let (coded, original) = try #require(try chunks().first)
    for at in [0, 1, 3] {
      var other = coded
      other[at] = 99
      #expect(code { _ = try AudioChunkCoder.decode(other, originalBytes: original.count) } == .refused)
    }
  }

  @Test("every shortened or lengthened chunk is refused")
  func cut() throws {
    for (coded, original) in try chunks() {
      for count in stride(from: 0, to: coded.count, by: 1 + coded.count / 300) {
        #expect(refuses(Array(coded[..<count]), original))
      }
      #expect(refuses(coded + [0], original) && refuses(coded + SystemRandom.bytes(3000), original))
    }
  }

  @Test("mutated chunks of every kind never trap, and give their original or nothing")
  func mutations() throws {
    var random = SeededGenerator(seed: 21)
    for (coded, original) in try chunks() {
      var refused = 0
      for _ in 0..<600 where refuses(mutated(coded, &random), original) { refused += 1 }
      #expect(refused > 500)
    }
  }

  @Test("headers that say anything, before payloads that are anything, never trap")
  func forgeries() throws {
    var random = SeededGenerator(seed: 22)
    let real = try chunks()
    for round in 0..<8000 {
      let (coded, original) = real[round % real.count]
      var header = try AudioChunkHeader.take(coded[...]).header
      let payload =
        round % 3 == 0
        ? Array(coded.dropFirst(40)) : (0..<random.below(300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      switch random.below(5) {
      case 0: header.mappings[0] = .aLaw
      case 1: header.mappings.removeLast()
      case 2: header.coder = header.coder == .flac ? .hybrid : .flac
      case 3: header.encoding = SampleEncoding.allCases[random.below(6)]
      default: header.mappings = header.mappings.map { _ in .table([-5, Int16(random.below(30_000))]) }
      }
      header.sampleFrames = (original.count - 44) / max(1, header.sampleFrameBytes)
      header.back.originalBytes = original.count - 44 - header.sampleFrames * header.sampleFrameBytes
      header.back.codedBytes = header.back.originalBytes
      #expect(refuses(header.encode() + original.prefix(44) + payload, original))
    }
  }

  @Test("a header that promises more than a chunk is refused before anything is made for it")
  func bounds() throws {
    let (coded, _) = try #require(try chunks().first)
    for (at, name) in [(4, "sample frames"), (8, "front"), (16, "back")] {
      var other = coded
      for i in 0..<4 { other[at + i] = 0xFF }
      #expect(throws: AtRestError.self, "\(name)") {
        try AudioChunkCoder.decode(other, originalBytes: Limits.recordingChunkBytes)
      }
    }
  }
}
