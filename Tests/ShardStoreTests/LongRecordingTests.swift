// A recording of eight hours in a real engine: what a call that nobody hung up leaves behind.

import Base
import Disk
import OpenSSL
import ShardStore
import Testing

@Suite struct LongRecordingTests {
  private static let hours = 8
  private static let sampleFramesPerMinute = 60 * 8000
  private static let bytesPerMinute = 2 * sampleFramesPerMinute

  /// One leg of 16 bits that came over a line with 255 values; every minute begins elsewhere in the same minute.
  private struct Call {
    private let minute: [UInt8]

    init() {
      var random = SeededGenerator(seed: 8)
      var bytes: [UInt8] = []
      bytes.reserveCapacity(bytesPerMinute)
      for i in 0..<sampleFramesPerMinute {
        // A coarse triangle with noise, and a pause now and then, in steps of 256.
        let value = i / 4000 % 3 == 0 ? random.below(2) * 256 : (abs(i % 40 - 20) - 10 + random.below(3)) * 256
        bytes += [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
      }
      minute = bytes
    }

    func minute(_ number: Int) -> [UInt8] {
      let start = number * 7919 % sampleFramesPerMinute * 2
      return Array(minute[start...] + minute[..<start])
    }
  }

  private static func header(dataBytes: Int) -> [UInt8] {
    func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    return Array("RIFF".utf8) + word(dataBytes + 36) + Array("WAVEfmt ".utf8) + word(16) + [1, 0, 1, 0] + word(8000)
      + word(16_000) + [2, 0, 16, 0] + Array("data".utf8) + word(dataBytes)
  }

  @Test("eight hours take less than half, come back byte for byte, and any second of them without the rest")
  func eightHours() async throws {
    let directory = TemporaryDirectory()
    let engine = try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey())
    try await engine.createAccount(id(1))
    let call = Call()
    let header = Self.header(dataBytes: Self.hours * 60 * Self.bytesPerMinute)
    let upload = try await engine.upload(id(1))
    try await upload.append(header)
    for number in 0..<(Self.hours * 60) { try await upload.append(call.minute(number)) }
    let stored = try await upload.finish()
    #expect(stored.bytes == header.count + Self.hours * 60 * Self.bytesPerMinute)

    let reader = try await engine.recording(id(1), stored.id)
    let md5 = Hasher(.md5)
    var offset = 0
    while offset < reader.size {
      let bytes = try await reader.read(offset: offset, count: 1 << 20)
      try #require(!bytes.isEmpty)
      md5.update(bytes)
      offset += bytes.count
    }
    #expect(md5.finish() == stored.md5)
    var sealed = 0
    for number in 0..<reader.chunkCount { sealed += try await reader.sealedChunk(number).count }
    #expect(sealed * 2 < stored.bytes)

    for second in [0, 61, 3 * 3600 + 17, Self.hours * 3600 - 1] {
      let wanted = Array(call.minute(second / 60).dropFirst(second % 60 * 16_000).prefix(16_000))
      var found: [UInt8] = []
      while found.count < wanted.count {
        let from = header.count + second * 16_000 + found.count
        found += try await reader.read(offset: from, count: wanted.count - found.count)
      }
      #expect(found == wanted, "second \(second)")
    }
    engine.close()
  }
}
