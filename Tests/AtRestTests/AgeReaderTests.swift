import AtRest
import Base
import OpenSSL
import Testing

@Suite struct AgeReaderTests {
  private let pair = Age.generateIdentity()
  private let stranger = Age.generateIdentity()

  private func secret(_ identity: String) throws -> SecretBytes {
    try #require(Age.identities(in: identity).first)
  }

  private func reader(_ file: [UInt8], bytes: Int? = nil) throws -> AgeReader {
    try AgeReader(
      front: Array(file.prefix(AgeReader.frontBytes)), fileBytes: UInt64(bytes ?? file.count),
      identity: secret(pair.identity))
  }

  private func chunk(_ number: Int, of file: [UInt8], _ reader: AgeReader) throws -> [UInt8] {
    let place = reader.place(of: UInt64(number))
    return try reader.open(Array(file[Int(place.lowerBound)..<Int(place.upperBound)]), number: UInt64(number))
  }

  @Test(
    "every chunk of a file of any length opens by itself",
    arguments: [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000])
  func chunks(count: Int) throws {
    let plain = SystemRandom.bytes(count)
    let file = try Age.encrypt(plain, to: [stranger.recipient, pair.recipient])
    let reader = try reader(file)
    #expect(reader.byteCount == UInt64(count))
    for number in (0..<max(1, (count + AgeReader.chunkBytes - 1) / AgeReader.chunkBytes)).reversed() {
      let start = number * AgeReader.chunkBytes
      #expect(try chunk(number, of: file, reader) == Array(plain[start..<min(start + AgeReader.chunkBytes, count)]))
    }
  }

  @Test("another identity, a changed header, a cut or swapped or flipped payload are refused")
  func damage() throws {
    let file = try Age.encrypt(SystemRandom.bytes(150_000), to: [pair.recipient])
    let whole = try reader(file)
    let (first, last) = (whole.place(of: 0), whole.place(of: 2))
    #expect(throws: AtRestError.self) {
      try AgeReader(front: file, fileBytes: UInt64(file.count), identity: secret(stranger.identity))
    }
    for at in stride(from: 0, to: Int(first.lowerBound) - 16, by: 3) {
      var changed = file
      changed[at] ^= 1
      #expect(throws: AtRestError.self, "byte \(at)") { try reader(changed) }
    }
    // The nonce and the payload show when a chunk is read.
    for at in [Int(first.lowerBound) - 1, Int(first.lowerBound), Int(last.upperBound) - 1] {
      var changed = file
      changed[at] ^= 1
      let reader = try reader(changed)
      #expect(throws: AtRestError.self) { for number in 0..<3 { _ = try chunk(number, of: changed, reader) } }
    }
    // A shorter file has another last chunk.
    for bytes in [file.count - 1, Int(whole.place(of: 1).upperBound), Int(last.lowerBound) + 20] {
      let cut = Array(file[..<bytes])
      let reader = try reader(cut)
      #expect(throws: AtRestError.self) {
        for number in 0..<3 where reader.place(of: UInt64(number)).count > 0 { _ = try chunk(number, of: cut, reader) }
      }
    }
    #expect(throws: AtRestError.self) { try reader(file, bytes: Int(first.lowerBound)) }
    let place = whole.place(of: 1)
    #expect(throws: AtRestError.self) {
      _ = try whole.open(Array(file[Int(place.lowerBound)..<Int(place.upperBound)]), number: 0)
    }
  }
}
