// Chunks of recordings come back as they were, and only in their own place.

import AtRest
import Base
import Formats
import OpenSSL
import Testing

struct RecordingChunkTests {
  private let key = SecretBytes([UInt8](repeating: 9, count: 32))
  private let coder = RecordingChunkCoder(account: account)
  private let text = Array(String(repeating: "ring ring ", count: 2000).utf8)

  private func sealed(_ bytes: [UInt8], number: Int = 3, isLast: Bool = false) -> SealedChunk {
    coder.seal(bytes, number: number, isLast: isLast, key: key, recording: recording(1))
  }

  private func open(_ frame: [UInt8], number: Int = 3, isLast: Bool = false) throws(AtRestError) -> [UInt8] {
    try coder.open(frame, number: number, isLast: isLast, key: key, recording: recording(1))
  }

  @Test("what gets smaller is zstd, what does not is stored, and both come back")
  func codings() throws {
    let noise = SystemRandom.bytes(10_000)
    #expect(sealed(text).coding == .zstd && sealed(noise).coding == .stored && sealed([]).coding == .stored)
    #expect(sealed(text).bytes.count < text.count / 20)
    for bytes in [text, noise, [], [7], [UInt8](repeating: 0, count: Limits.recordingChunkBytes)] {
      #expect(try open(sealed(bytes).bytes) == bytes)
      #expect(try open(sealed(bytes, number: 70_000, isLast: true).bytes, number: 70_000, isLast: true) == bytes)
    }
    let plain = RecordingChunkCoder(account: account, level: nil)
    #expect(plain.seal(text, number: 0, isLast: true, key: key, recording: recording(1)).coding == .stored)
  }

  @Test("a chunk goes under another seal as it was coded, and opens there and nowhere else")
  func resealing() throws {
    let (elsewhere, other) = (RecordingChunkCoder(account: AccountID(bits: 5)), SecretBytes.random(32))
    for original in [text, SystemRandom.bytes(1000), []] {
      let before = sealed(original)
      let coded = try coder.openCoded(before.bytes, number: 3, isLast: false, key: key, recording: recording(1))
      let after = elsewhere.reseal(coded, number: 0, isLast: true, key: other, recording: recording(2))
      let (old, new) = (try ChunkHeader(front: before.bytes[...]), try ChunkHeader(front: after[...]))
      #expect(new.coding == old.coding && new.codedBytes == old.codedBytes && new.originalBytes == old.originalBytes)
      #expect(
        try elsewhere.open(after, number: 0, isLast: true, key: other, recording: recording(2)) == original)
      #expect(
        code { _ = try coder.open(after, number: 0, isLast: true, key: other, recording: recording(2)) } == .damaged)
    }
  }

  @Test(
    "a chunk is carried to another account without decoding; one of another place, key or account, or changed, is not")
  func carrying() throws {
    let (elsewhere, other) = (RecordingChunkCoder(account: AccountID(bits: 5)), SecretBytes.random(32))
    let carrier = ChunkCarrier(recording(1), from: account, key, to: AccountID(bits: 5), other)
    for original in [text, SystemRandom.bytes(1000), []] {
      let before = sealed(original).bytes
      var after = before
      try carrier.carry(&after, number: 3, isLast: false)
      #expect(after.count == before.count && after[48...] != before[48...])
      #expect(try elsewhere.open(after, number: 3, isLast: false, key: other, recording: recording(1)) == original)
      func refuses(_ frame: [UInt8], number: Int = 3, isLast: Bool = false, by carrier: ChunkCarrier) -> Bool {
        var frame = frame
        return code { try carrier.carry(&frame, number: number, isLast: isLast) } != nil
      }
      #expect(refuses(before, number: 4, by: carrier) && refuses(before, isLast: true, by: carrier))
      #expect(refuses(after, by: carrier) && refuses(Array(before.dropLast()), by: carrier))
      for stranger in [
        ChunkCarrier(recording(2), from: account, key, to: AccountID(bits: 5), other),
        ChunkCarrier(recording(1), from: AccountID(bits: 6), key, to: AccountID(bits: 5), other),
        ChunkCarrier(recording(1), from: account, other, to: AccountID(bits: 5), other),
      ] { #expect(refuses(before, by: stranger)) }
      for bit in stride(from: 0, to: before.count * 8, by: 7) {
        var changed = before
        changed[bit / 8] ^= 1 << (bit % 8)
        #expect(refuses(changed, by: carrier))
      }
    }
  }

  @Test("a frame is never longer than the limit of sealed chunks")
  func length() {
    let frame = sealed(SystemRandom.bytes(Limits.recordingChunkBytes)).bytes
    #expect(frame.count <= Limits.sealedChunkBytesMax)
    #expect(frame.count == Limits.recordingChunkBytes + ChunkHeader.byteCount + ChunkHeader.tagBytes)
  }

  @Test("the header says of itself whose chunk it is and where the next one lies")
  func header() throws {
    let frame = sealed(text, number: 5, isLast: true).bytes
    let header = try ChunkHeader(front: frame[...])
    #expect(header.recording == recording(1) && header.number == 5 && header.isLast && header.coding == .zstd)
    #expect(header.originalBytes == UInt32(text.count) && header.frameBytes == frame.count)
  }

  @Test("a chunk in another place, of another recording or account, or under another key does not open")
  func places() throws {
    let frame = sealed(text).bytes
    func refusal(_ body: @autoclosure () throws -> [UInt8]) -> AtRestError.Code? { code { _ = try body() } }
    #expect(refusal(try open(frame, number: 4)) == .damaged)
    #expect(refusal(try open(frame, isLast: true)) == .damaged)
    #expect(
      refusal(try coder.open(frame, number: 3, isLast: false, key: key, recording: recording(2))) == .damaged)
    #expect(
      refusal(try coder.open(frame, number: 3, isLast: false, key: SecretBytes.random(32), recording: recording(1)))
        == .damaged)
    let stranger = RecordingChunkCoder(account: AccountID(bits: 5))
    #expect(
      refusal(try stranger.open(frame, number: 3, isLast: false, key: key, recording: recording(1))) == .damaged)
  }

  @Test("a header that was changed, its checksum put right again, does not open")
  func changedHeader() throws {
    let frame = sealed(text).bytes
    let real = try ChunkHeader(front: frame[...])
    var last = real
    last.isLast = true
    var other = real
    other.number = 4
    var longer = real
    longer.originalBytes += 1
    for (header, number, isLast) in [(last, 3, true), (other, 4, false), (longer, 3, false)] {
      let forged = header.encode() + frame[ChunkHeader.byteCount...]
      #expect(code { _ = try open(forged, number: number, isLast: isLast) } == .damaged)
    }
  }

  @Test("an unknown coding is refused by its number")
  func laterCodings() throws {
    let frame = sealed(text).bytes
    var header = try ChunkHeader(front: frame[...])
    header.coding = ChunkHeader.Coding(rawValue: 9)
    do {
      _ = try open(header.encode() + frame[ChunkHeader.byteCount...])
      Issue.record("an unknown coding was opened")
    } catch {
      #expect(error.code == .refused && error.message.contains("unknown coding 9"))
    }
  }

  @Test("chunks of a call are audio, its end of text is zstd, and a range of it opens without the rest")
  func audio() throws {
    let call = CallSignal(seed: 3).file(.stereoOverG711, sampleFrames: 150_000)
    let text = Array(String(repeating: "note ", count: 60_000).utf8)
    let file = call + Array("LIST".utf8) + [UInt8(text.count & 255), UInt8(text.count >> 8 & 255), 4, 0] + text
    let audio = AudioChunkCoder(front: Array(file.prefix(Limits.recordingChunkBytes)), fileBytes: file.count)
    var codings: [SealedChunk.Coding] = []
    for (number, start) in stride(from: 0, to: file.count, by: Limits.recordingChunkBytes).enumerated() {
      let chunk = Array(file[start..<min(file.count, start + Limits.recordingChunkBytes)])
      let sealed = coder.seal(chunk, number: number, isLast: false, key: key, recording: recording(1), audio: audio)
      codings.append(sealed.coding)
      #expect(sealed.bytes.count < chunk.count / 2)
      #expect(try open(sealed.bytes, number: number) == chunk)
    }
    #expect(codings == [.audio, .audio, .audio, .zstd])
  }

  @Test("the same chunk sealed twice has different nonces")
  func nonces() throws {
    let nonces = try Set((0..<200).map { _ in try ChunkHeader(front: sealed(text).bytes[...]).nonce })
    #expect(nonces.count == 200)
  }

  @Test("any flipped bit is damage; mutated frames never trap and never give other bytes")
  func fuzz() throws {
    let short = Array(text[..<100])
    let frame = sealed(short).bytes
    for bit in 0..<8 * frame.count {
      #expect(throws: AtRestError.self, "bit \(bit)") { try open(flipping(bit, in: frame)) }
    }
    var random = SeededGenerator(seed: 5)
    for _ in 0..<3000 {
      if let bytes = try? open(mutated(frame, &random)) { #expect(bytes == short) }
    }
  }
}
