// Where the samples of a WAV file lie, whatever its sizes say; and no bytes that trap the reader.

import AtRest
import Base
import Formats
import Testing

struct WAVShapeTests {
  private let data = [UInt8](repeating: 1, count: 400)

  private func shape(_ file: WAVFile, then trailer: [UInt8] = []) -> WAVShape? {
    WAVShape(front: file.header(dataBytes: data.count) + data + trailer)
  }

  @Test("every encoding and number of channels is read, plain and extensible")
  func kinds() {
    for encoding in SampleEncoding.allCases {
      for channels in 1...8 {
        for isExtensible in [false, true] {
          let file = WAVFile(encoding: encoding, channels: channels, isExtensible: isExtensible)
          let start = isExtensible ? 68 : 44
          #expect(
            shape(file) == WAVShape(encoding: encoding, channels: channels, data: start..<start + data.count))
        }
      }
    }
  }

  @Test("chunks before the format and the data are passed over, padded or not")
  func otherChunks() {
    var file = WAVFile(encoding: .pcm16, channels: 2)
    file.first = WAVFile.chunk("JUNK", [1, 2, 3, 4, 5])
    file.between = WAVFile.chunk("fact", [0, 0, 0, 0]) + WAVFile.chunk("LIST", Array("INFOISFT".utf8))
    #expect(shape(file)?.data == 86..<486)
    file.first = WAVFile.chunk("bext", [1, 2, 3, 4, 5], padded: false)
    #expect(shape(file)?.data == 85..<485)
  }

  @Test("data runs to the end where its size cannot be true")
  func wrongSizes() {
    var file = WAVFile(encoding: .pcm16, channels: 1)
    for size in [0, 0xFFFF_FFFF, 0x7FFF_FFFF, 401] as [UInt32] {
      file.dataSize = size
      #expect(shape(file)?.data == 44..<Int.max, "size \(size)")
    }
    // Too small, and more samples follow instead of a chunk.
    file.dataSize = 100
    #expect(shape(file)?.data == 44..<Int.max)
    file.dataSize = nil
    for size in [0, 1, 0xFFFF_FFFF] as [UInt32] {
      file.riffSize = size
      #expect(shape(file)?.data == 44..<444, "RIFF size \(size)")
    }
  }

  @Test("what follows the data is not samples")
  func trailers() {
    let file = WAVFile(encoding: .pcm16, channels: 1)
    #expect(shape(file, then: WAVFile.chunk("LIST", [UInt8](repeating: 0, count: 50)))?.data == 44..<444)
    #expect(shape(file, then: [0, 0, 0])?.data == 44..<444)
  }

  @Test("a size that lies behind the first chunk is believed, unless the file is known to be shorter")
  func longFiles() {
    let front =
      WAVFile(encoding: .pcm16, channels: 1).header(dataBytes: 3_000_000)
      + [UInt8](repeating: 0, count: Limits.recordingChunkBytes - 44)
    #expect(WAVShape(front: front)?.data == 44..<3_000_044)
    #expect(WAVShape(front: front, fileBytes: 3_000_044)?.data == 44..<3_000_044)
    #expect(WAVShape(front: front, fileBytes: 3_000_043)?.data == 44..<Int.max)
  }

  @Test("RF64 has its size in a chunk of its own")
  func wide() {
    var file = WAVFile(encoding: .pcm16, channels: 1, riff: "RF64", riffSize: .max, dataSize: .max)
    var sizes = ByteWriter()
    for size in [480, 400, 200] as [UInt64] { sizes.put(size) }
    sizes.put(UInt32(0))
    file.first = WAVFile.chunk("ds64", sizes.bytes)
    #expect(shape(file, then: WAVFile.chunk("LIST", [1, 2]))?.data == 80..<480)
    file.first = []
    #expect(shape(file)?.data == 44..<Int.max)
  }

  @Test("what is not surely samples of a known kind has no shape")
  func others() throws {
    let file = WAVFile(encoding: .pcm16, channels: 2)
    let bytes = file.header(dataBytes: 400) + data
    for (at, value) in [
      (0, "X"), (3, "X"), (8, "w"), (20, "\u{3}"), (22, "\u{0}"), (22, "\u{9}"), (32, "\u{3}"), (34, "\u{c}"),
    ] {
      var other = bytes
      other[at] = try #require(value.utf8.first)
      #expect(WAVShape(front: other) == nil, "byte \(at)")
    }
    for count in 0..<44 { #expect(WAVShape(front: Array(bytes[..<count])) == nil) }
    #expect(WAVShape(front: WAVFile(encoding: .pcm16, channels: 2, riff: "RIFX").header(dataBytes: 400) + data) == nil)
    #expect(WAVShape(front: Array("RIFF....WAVEdata....".utf8)) == nil)
  }

  @Test("changed headers, a million in a release build, never trap, and data never starts outside of the file")
  func fuzz() {
    var random = SeededGenerator(seed: 11)
    var files = SampleEncoding.allCases.map {
      WAVFile(encoding: $0, channels: 2, isExtensible: $0 == .pcm24).header(dataBytes: 60)
    }
    var wide = WAVFile(encoding: .pcm16, channels: 1, riff: "RF64", dataSize: .max)
    wide.first = WAVFile.chunk("ds64", [UInt8](repeating: 0, count: 28)) + WAVFile.chunk("JUNK", [1, 2, 3])
    files.append(wide.header(dataBytes: 60))
    var shapes = 0
    for round in 0..<Self.headers {
      var bytes = files[round % files.count] + data.prefix(60)
      for _ in 0...random.below(4) { bytes[random.below(bytes.count)] = Self.telling(&random) }
      if random.oneIn(4) { bytes.removeLast(random.below(bytes.count)) }
      guard let shape = WAVShape(front: bytes, fileBytes: random.oneIn(2) ? bytes.count : nil) else { continue }
      shapes += 1
      if !(20...bytes.count).contains(shape.data.lowerBound) || !(1...8).contains(shape.channels) {
        Issue.record("\(shape) of \(bytes)")
      }
    }
    #expect(shapes > Self.headers / 10 && shapes < Self.headers)
  }

  #if DEBUG
    private static let headers = 100_000
  #else
    private static let headers = 1_000_000
  #endif

  /// Any byte, but often one that sizes turn on.
  private static func telling(_ random: inout SeededGenerator) -> UInt8 {
    random.oneIn(2)
      ? UInt8(truncatingIfNeeded: random.next()) : [0, 1, 0x7F, 0x80, 0xFE, 0xFF, 16, 40][random.below(8)]
  }
}
