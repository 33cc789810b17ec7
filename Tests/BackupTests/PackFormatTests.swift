import Base
import Formats
import Testing

@Suite struct PackFormatTests {
  private func name(_ i: Int) -> ChunkName { ChunkName(bytes: (0..<32).map { UInt8(truncatingIfNeeded: $0 * i + i) }) }

  private func frame(_ i: Int, bytes: Int) -> [UInt8] {
    PackFrameHeader.frame(
      kind: .database, coding: .stored, originalBytes: bytes, name: name(i),
      body: [UInt8](repeating: UInt8(i), count: bytes))
  }

  @Test("a chunk's name keeps its 32 bytes")
  func names() {
    let bytes = (0..<32).map { UInt8($0 * 7) }
    #expect(ChunkName(bytes: bytes).bytes == bytes)
    #expect(ChunkName(bytes: bytes).description == bytes.hex)
  }

  @Test("header, frame and list read back as they were written")
  func roundTrip() throws {
    let header = PackHeader(account: AccountID(bits: 5), pack: PackID(bits: 6))
    #expect(header.encode().count == PackHeader.byteCount)
    #expect(try PackHeader(decoding: header.encode()[...]) == header)
    let frames = (1...3).map { frame($0, bytes: $0 * 100) }
    let (opened, body) = try PackFrameHeader.open(frame: frames[1])
    #expect(opened.name == name(2) && body.count == 200 && opened.frameBytes == frames[1].count)
    var offset = PackHeader.byteCount
    let entries = frames.enumerated().map { i, bytes in
      defer { offset += bytes.count }
      return PackTrailer.Entry(name: name(i + 1), offset: offset, bytes: bytes.count)
    }
    let encoded = PackTrailer(entries: entries).encode(at: offset)
    let footer = Array(encoded.suffix(PackTrailer.footerBytes))
    #expect(try PackTrailer.offset(footer: footer, fileBytes: offset + encoded.count) == offset)
    let list = Array(encoded.dropLast(PackTrailer.footerBytes))
    #expect(try PackTrailer(decoding: list, at: offset).entries == entries)
  }

  @Test("a chunk listed twice, a gap and a list beyond the file are refused")
  func impossibleLists() {
    let entry = PackTrailer.Entry(name: name(1), offset: 48, bytes: 100)
    let twice = PackTrailer(entries: [entry, .init(name: name(1), offset: 148, bytes: 100)]).encode(at: 248)
    #expect(throws: BytesError.self) { try PackTrailer(decoding: Array(twice.dropLast(16)), at: 248) }
    let gap = PackTrailer(entries: [entry, .init(name: name(2), offset: 149, bytes: 99)]).encode(at: 248)
    #expect(throws: BytesError.self) { try PackTrailer(decoding: Array(gap.dropLast(16)), at: 248) }
    let good = PackTrailer(entries: [entry]).encode(at: 148)
    #expect(throws: Never.self) { try PackTrailer(decoding: Array(good.dropLast(16)), at: 148) }
    #expect(throws: BytesError.self) { try PackTrailer.offset(footer: Array(good.suffix(16)), fileBytes: 100) }
  }

  @Test("each flipped bit of header, frame, list and footer is noticed")
  func flips() {
    let header = PackHeader(account: AccountID(bits: 5), pack: PackID(bits: 6)).encode()
    let frame = frame(3, bytes: 40)
    let list = PackTrailer(entries: [.init(name: name(3), offset: 48, bytes: frame.count)]).encode(at: 48 + frame.count)
    for bit in 0..<(header.count * 8) {
      #expect(throws: BytesError.self) { try PackHeader(decoding: header.flipped(bit)[...]) }
    }
    for bit in 0..<(frame.count * 8) {
      #expect(throws: BytesError.self) { try PackFrameHeader.open(frame: frame.flipped(bit)) }
    }
    for bit in 0..<(list.count * 8) {
      #expect(throws: BytesError.self) {
        let bytes = list.flipped(bit)
        let offset = try PackTrailer.offset(footer: Array(bytes.suffix(16)), fileBytes: 48 + frame.count + bytes.count)
        _ = try PackTrailer(decoding: Array(bytes.dropLast(16)), at: offset)
      }
    }
  }

  @Test("mutated bytes never trap a parser, and what is accepted encodes to the same bytes")
  func fuzz() throws {
    var random = SeededGenerator(seed: 41)
    let frame = frame(3, bytes: 40)
    let list = Array(
      PackTrailer(entries: [.init(name: name(3), offset: 48, bytes: 60), .init(name: name(4), offset: 108, bytes: 70)])
        .encode(at: 178).dropLast(16))
    for round in 0..<6000 {
      // Every third round mends the checksum, so that the parser behind it is reached.
      let mends = round % 3 == 0
      var bytes = frame.mutated(using: &random)
      if mends { bytes.mendChecksum() }
      if let (header, body) = try? PackFrameHeader.open(frame: bytes) {
        let again = PackFrameHeader.frame(
          kind: header.kind, coding: header.coding, originalBytes: header.originalBytes, name: header.name,
          body: Array(body))
        #expect(again == bytes)
      }
      bytes = list.mutated(using: &random)
      if mends { bytes.mendChecksum() }
      if let trailer = try? PackTrailer(decoding: bytes, at: 178) {
        #expect(Array(trailer.encode(at: 178).dropLast(16)) == bytes)
      }
    }
  }
}
