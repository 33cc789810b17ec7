import AtRest
import Backup
import Base
import Disk
import Formats
import OpenSSL
import Simulator
import Testing

/// The sum over sealed frames that a proof carries.
@Suite struct FrameDigestTests {
  private let keys = FakeAccount(seed: 3).keys

  private func raw(_ body: [UInt8], name: UInt8 = 1) -> [UInt8] {
    PackFrameHeader.frame(
      kind: .database, coding: .zstd, originalBytes: 4096, name: ChunkName(bytes: [UInt8](repeating: name, count: 32)),
      body: body)
  }

  private func mark(_ raw: [UInt8], _ keys: ArchiveKeys) -> FrameMark { FrameMark(raw: raw.span.bytes, keys) }

  @Test("a frame has one mark, read as bytes or in parts, however short its body is")
  func parts() throws {
    for count in [0, 1, 15, 16, 28, 47, 48, 63, 64, 65, 5000] {
      let raw = raw((0..<count).map { UInt8(truncatingIfNeeded: $0) })
      let (header, body) = try PackFrameHeader.open(frame: raw)
      let frame = StoredFrame(header: header, body: body, checksum: raw[(raw.count - 4)...])
      #expect(FrameMark(frame, keys) == mark(raw, keys))
    }
  }

  @Test("each bit of header, nonce, tag and checksum is in the mark; the seal answers for the rest")
  func bits() {
    let raw = raw((0..<300).map { UInt8(truncatingIfNeeded: $0) })
    let mine = mark(raw, keys)
    for bit in 0..<(raw.count * 8) {
      let isCipherText = (44 + 48..<raw.count - 20).contains(bit / 8)
      #expect((mark(raw.flipped(bit), keys) == mine) == isCipherText, "bit \(bit)")
    }
    #expect(mark(raw, FakeAccount(seed: 4).keys) != mine)
  }

  @Test("the sum does not depend on order or on who made which part; it carries, and says which frames are in it")
  func sums() {
    let marks = (0..<200).map { mark(raw([UInt8(truncatingIfNeeded: $0)], name: UInt8($0 % 7)), keys) }
    var (forward, backward, parts) = (FrameDigest(), FrameDigest(), [FrameDigest(), FrameDigest(), FrameDigest()])
    for (i, mark) in marks.enumerated() {
      forward.add(mark)
      parts[i % 3].add(mark)
    }
    for mark in marks.reversed() { backward.add(mark) }
    var sum = parts[2]
    sum.add(parts[0])
    sum.add(parts[1])
    #expect(forward == backward && forward == sum && forward.count == 200 && forward.bytes.count == 32)
    let decoders = Decoders.current
    #expect(forward.matches(ProvenFrames(digest: forward.bytes, count: 200, decoders: decoders)))
    #expect(!forward.matches(ProvenFrames(digest: forward.bytes, count: 199, decoders: decoders)))
    var more = forward
    more.add(marks[0])
    #expect(more != forward && more.bytes != forward.bytes)
    // Schoolbook addition of the bytes gives the same: 200 random numbers of 256 bits carry into every byte.
    var bytes = [UInt8](repeating: 0, count: 32)
    for mark in marks {
      var one = FrameDigest()
      one.add(mark)
      var carry = 0
      for i in bytes.indices.reversed() {
        carry += Int(bytes[i]) + Int(one.bytes[i])
        bytes[i] = UInt8(carry & 255)
        carry >>= 8
      }
    }
    #expect(bytes == forward.bytes)
  }

  @Test("a proof carries the digest of what was decoded; it is believed for this manifest, signer and decoders alone")
  func proofs() async throws {
    let account = try FakeAccount.filled()
    let disk = ForgetfulDisk(seed: 1)
    let archive = FakeArchive(disk, account)
    let stored = try await archive.snapshot(id: 1)
    let other = try await archive.snapshot(id: 2)
    let (manifest, path) = (stored.manifest, stored.path)
    #expect(archive.store.provenFrames(of: manifest, path: path, keys: account.keys) == nil)
    let result = try archive.prove(manifest)
    try archive.store.writeProof(manifest, path: path, provenAt: 5, result, account.keys)
    let found = try #require(archive.store.provenFrames(of: manifest, path: path, keys: account.keys))
    #expect(found.provenAt == 5 && result.frames.matches(found.frames) && found.frames.decoders == Decoders.current)
    #expect(found.frames.count == result.chunks && found.frames.count > 3)
    // Of another manifest, though the account signed it.
    let bytes = try disk.readAll(path + ".proof", limit: 1000)
    try disk.replaceFile(other.path + ".proof", bytes)
    #expect(archive.store.provenFrames(of: other.manifest, path: other.path, keys: account.keys) == nil)
    // With another digest, or by other decoders, or by somebody else, or of version 1.
    var (proof, signature) = try SnapshotProof.decode(bytes)
    func believed(_ proof: SnapshotProof, _ signature: [UInt8]) throws -> Bool {
      try disk.replaceFile(path + ".proof", proof.encode(signature: signature))
      return archive.store.provenFrames(of: manifest, path: path, keys: account.keys) != nil
    }
    #expect(try believed(proof, signature))
    proof.frames!.digest[31] ^= 1
    #expect(try !believed(proof, signature))
    #expect(try !believed(proof, FakeAccount(seed: 9).keys.sign(proof.signedBytes)))
    proof.frames!.digest[31] ^= 1
    proof.frames!.decoders.flac += 1
    #expect(try !believed(proof, account.keys.sign(proof.signedBytes)))
    proof.frames = nil
    #expect(try !believed(proof, account.keys.sign(proof.signedBytes)))
    #expect(try archive.store.info(path).state == .proven)
  }
}
