// Frames between the process that reads a foreign database and the one that imports it. The sender may have been taken
// over by the file that it reads.

import Base
import Testing
import komora

@Suite("database frames")
struct DatabaseFrameTests {
  private let frames: [DatabaseFrame] = [
    .plan(Array("{}".utf8)),
    .rows(table: 3, count: 2, values: [0, 1, 5, 4, 1, 255]),
    .rows(table: 0, count: 0, values: []), .failure(refused: true, "no"), .end,
  ]

  @Test("frames come back however the stream is cut")
  func roundTrip() throws {
    let bytes = frames.flatMap { $0.encoded() }
    for piece in [1, 3, 7, bytes.count] {
      var decoder = DatabaseFrameDecoder()
      var found: [DatabaseFrame] = []
      for start in stride(from: 0, to: bytes.count, by: piece) {
        decoder.append(Array(bytes[start..<min(start + piece, bytes.count)]))
        while let frame = try decoder.next() { found.append(frame) }
      }
      #expect(found == frames)
      #expect(decoder.isEmpty)
    }
  }

  @Test("a length beyond the limit is refused before anything is waited for")
  func tooLong() {
    var decoder = DatabaseFrameDecoder()
    decoder.append([UInt8(ascii: "B"), 255, 255, 255, 255])
    #expect(throws: BytesError.self) { try decoder.next() }
  }

  @Test("mutated frames are decoded or refused, never more")
  func fuzz() {
    var random = SeededGenerator(seed: 23)
    let bytes = frames.flatMap { $0.encoded() }
    for _ in 0..<5_000 {
      var mutated = bytes
      for _ in 0...random.below(3) { mutated[random.below(mutated.count)] = UInt8(random.below(256)) }
      mutated.removeLast(random.below(mutated.count))
      var decoder = DatabaseFrameDecoder()
      decoder.append(mutated)
      while let frame = try? decoder.next() { _ = frame }
    }
  }
}
