// Compression comes back as it was, within limits, and refuses everything else.

import AtRest
import Base
import Testing

struct ZstdTests {
  private let text = Array(String(repeating: "call 4711 from Kyiv; ", count: 500).utf8)

  @Test("what was compressed comes back, at every level and length", arguments: [-7, -1, 0, 1, 3, 19])
  func roundTrip(level: Int) throws {
    for count in [0, 1, 2, 100, text.count] {
      let bytes = Array(text[..<count])
      let frame = Zstd.compress(bytes, level: level)
      #expect(try Zstd.decompress(frame, limit: count) == bytes)
    }
    #expect(Zstd.compress(text, level: level).count < text.count / 10)
  }

  @Test("content over the limit is refused before it is made")
  func limit() {
    let frame = Zstd.compress(text)
    #expect(code { _ = try Zstd.decompress(frame, limit: text.count - 1) } == .tooLarge)
  }

  @Test("a frame that does not fit into given memory is told, and the context still works")
  func intoMemory() throws {
    let compressor = ZstdCompressor()
    let whole = compressor.compress(text.span.bytes)
    var room = [UInt8](repeating: 0, count: ZstdCompressor.bound(text.count))
    func compressed(_ count: Int) -> Int? {
      var span = room.mutableSpan
      var raw = span.mutableBytes
      var part = raw._mutatingExtracting(..<count)
      return compressor.compress(text.span.bytes, into: &part)
    }
    #expect(compressed(whole.count - 1) == nil)
    #expect(compressed(room.count) == whole.count)
    #expect(Array(room[..<whole.count]) == whole)
    var back = [UInt8](repeating: 0, count: text.count)
    var span = back.mutableSpan
    var raw = span.mutableBytes
    #expect(try ZstdDecompressor().decompress(whole.span.bytes, into: &raw) == text.count)
    #expect(back == text)
  }

  @Test("mutated frames never trap and never exceed the limit")
  func fuzz() {
    var random = SeededGenerator(seed: 7)
    let frame = Zstd.compress(text)
    var refused = 0
    for _ in 0..<3000 {
      do {
        let bytes = try Zstd.decompress(mutated(frame, &random), limit: 2 * text.count)
        #expect(bytes.count <= 2 * text.count)
      } catch {
        refused += 1
      }
    }
    #expect(refused > 1000)
  }
}
