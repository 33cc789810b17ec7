import Base
import Formats
import Testing

@Suite struct ExportFormatTests {
  private let paths = [
    "a", "acme/README.txt", String(repeating: "d", count: 100), String(repeating: "d", count: 101),
    "acme/recordings/співробітник.wav", "acme/" + String(repeating: "very long/", count: 300) + "x",
    "acme/recordings/" + String(repeating: "x", count: 72), "acme/recordings/a=b\u{1F600}",
  ]

  @Test("tar headers come back as they were, in whole blocks, with the checksum that tar wants")
  func roundTrip() throws {
    for path in paths {
      for bytes: UInt64 in [0, 1, 511, 512, 1 << 20, (1 << 33) - 1, 1 << 33, 1 << 40] {
        let entry = TarEntry(path: path, bytes: bytes, modified: 1_700_000_000)
        let header = entry.encode()
        #expect(header.count % 512 == 0)
        #expect(try TarEntry(decoding: header) == entry)
        #expect((bytes + UInt64(entry.padding)) % 512 == 0 && entry.padding < 512)
        var block = Array(header.suffix(512))
        let text = String(decoding: block[148..<154], as: UTF8.self)
        for i in 148..<156 { block[i] = 0x20 }
        #expect(Int(text, radix: 8) == block.reduce(0) { $0 + Int($1) })
      }
    }
    #expect(try TarEntry.kind(of: [UInt8](repeating: 0, count: 512)[...]) == .end)
  }

  @Test("every flipped bit of a header is another header or none, and nothing traps")
  func flips() {
    for path in paths {
      let entry = TarEntry(path: path, bytes: 77, modified: 5)
      let header = entry.encode()
      for bit in stride(from: 0, to: header.count * 8, by: 3) {
        var copy = header
        copy[bit / 8] ^= 1 << UInt8(bit % 8)
        guard let other = try? TarEntry(decoding: copy) else { continue }
        // Only the path in an extended header has no checksum over it.
        #expect(other != entry && other.encode() == copy, "\(path.prefix(20)) bit \(bit)")
        #expect(header.count > 512 && other.bytes == 77 && other.modified == 5)
      }
    }
  }

  @Test("random blocks never trap, and what decodes encodes to itself")
  func fuzz() throws {
    var random = SeededGenerator(seed: 9)
    let base = TarEntry(path: "acme/співробітник", bytes: 1 << 34, modified: 5).encode()
    for _ in 0..<5000 {
      var bytes = base
      for _ in 0...random.below(6) { bytes[random.below(bytes.count)] = UInt8(truncatingIfNeeded: random.next()) }
      if random.oneIn(4) { bytes.removeLast(random.below(bytes.count)) }
      if let entry = try? TarEntry(decoding: bytes) { #expect(entry.encode() == bytes) }
      _ = try? TarEntry.kind(of: bytes.prefix(512))
    }
  }

  @Test("the trailer of an export and the head of its list are read in one form only")
  func trailer() throws {
    let trailer = ExportTrailer(hash: (0..<32).map { UInt8($0) })
    let bytes = trailer.encode()
    #expect(bytes.count == ExportTrailer.byteCount && ExportTrailer.isAt(bytes))
    #expect(try ExportTrailer(decoding: bytes) == trailer)
    for bit in 0..<(16 * 8) {
      var copy = bytes
      copy[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect((try? ExportTrailer(decoding: copy)) == nil, "bit \(bit)")
    }
    #expect((try? ExportTrailer(decoding: Array(bytes.dropLast()))) == nil)
    let header = ExportHeldHeader(account: AccountID(bits: 1), export: ExportID(bits: 2), count: 3)
    let size = UInt64(ExportHeldHeader.byteCount + 3 * 16 + 32)
    #expect(try ExportHeldHeader(decoding: header.encode(), fileBytes: size) == header)
    for length in [0, size - 1, size + 1, .max] {
      #expect((try? ExportHeldHeader(decoding: header.encode(), fileBytes: length)) == nil)
    }
  }
}
