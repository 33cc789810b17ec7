import Base
import Formats
import Testing

@Suite struct ManifestFormatTests {
  private var header: ManifestHeader {
    ManifestHeader(
      account: AccountID(bits: 1), snapshot: SnapshotID(bits: 2), kind: .daily, createdAt: 1_700_000_000_000_000,
      position: Position(epoch: 3, index: 4, checksum: Checksum(bits: 5)), databasePages: 20, recordings: 1,
      recordingBytes: 600, addedBytes: 7, publicKey: [UInt8](repeating: 8, count: 32),
      nonce: [UInt8](repeating: 9, count: 12), bodyBytes: 50)
  }

  private var body: ManifestBody {
    ManifestBody(
      databaseRoot: [UInt8](repeating: 1, count: 32),
      groups: (1...2).map { ChunkName(bytes: [UInt8](repeating: $0, count: 32)) },
      recordings: [.init(id: RecordingID(bits: 3), bytes: 600, chunks: 1, root: [UInt8](repeating: 4, count: 32))])
  }

  private var file: ManifestFile {
    ManifestFile(header: header, body: [UInt8](repeating: 3, count: 50), signature: [UInt8](repeating: 4, count: 64))
  }

  /// One of version 1, whose bytes are as they always were, and one that says which frames were decoded.
  private var proofs: [SnapshotProof] {
    var proof = SnapshotProof(
      account: AccountID(bits: 1), snapshot: SnapshotID(bits: 2), provenAt: 3, chunks: 4, bytes: 5,
      manifestSignature: file.signature)
    let old = proof
    proof.frames = ProvenFrames(
      digest: (1...32).map { UInt8($0) }, count: 4, decoders: DecoderVersions(own: 1, zstd: 10504, flac: 10402))
    return [old, proof]
  }

  @Test("header, body, file and proof read back as they were written")
  func roundTrip() throws {
    #expect(header.encode().count == ManifestHeader.byteCount)
    #expect(try ManifestHeader(decoding: header.encode()[...]) == header)
    #expect(try ManifestBody(decoding: body.encode()) == body)
    #expect(throws: Never.self) { try body.check(against: header) }
    #expect(file.encode().count == header.fileBytes)
    #expect(try ManifestFile(decoding: file.encode()) == file)
    for (proof, bytes) in zip(proofs, [196, 252]) {
      let encoded = proof.encode(signature: [UInt8](repeating: 6, count: 64))
      #expect(encoded.count == bytes && encoded.count <= SnapshotProof.byteCountMax)
      #expect(try SnapshotProof.decode(encoded).proof == proof)
    }
  }

  @Test("each flipped bit of a manifest and of a proof is noticed")
  func flips() {
    let bytes = file.encode()
    for bit in 0..<(bytes.count * 8) {
      #expect(throws: BytesError.self) { try ManifestFile(decoding: bytes.flipped(bit)) }
    }
    for proof in proofs.map({ $0.encode(signature: file.signature) }) {
      for bit in 0..<(proof.count * 8) {
        #expect(throws: BytesError.self) { try SnapshotProof.decode(proof.flipped(bit)) }
      }
    }
  }

  @Test("lists that do not fit the header are refused")
  func mismatch() {
    var other = header
    other.databasePages = 33
    #expect(throws: BytesError.self) { try body.check(against: other) }
    other = header
    other.recordingBytes = 599
    #expect(throws: BytesError.self) { try body.check(against: other) }
    var twice = body
    twice.recordings.append(twice.recordings[0])
    #expect(throws: BytesError.self) { try ManifestBody(decoding: twice.encode()) }
  }

  @Test("mutated bytes never trap a parser, and what is accepted encodes to the same bytes")
  func fuzz() {
    var random = SeededGenerator(seed: 43)
    let (plain, head, whole) = (body.encode(), header.encode(), file.encode())
    for round in 0..<6000 {
      var bytes = plain.mutated(using: &random)
      if let body = try? ManifestBody(decoding: bytes) {
        #expect(body.encode() == bytes)
        try? body.check(against: header)
      }
      bytes = head.mutated(using: &random)
      if round % 2 == 0 { bytes.mendChecksum() }
      if let header = try? ManifestHeader(decoding: bytes[...]) { #expect(header.encode() == Array(bytes.prefix(160))) }
      bytes = whole.mutated(using: &random)
      if let file = try? ManifestFile(decoding: bytes) { #expect(file.encode() == bytes) }
      bytes = proofs[round / 2 % 2].encode(signature: file.signature).mutated(using: &random)
      if round % 2 == 0 { bytes.mendChecksum() }
      if let (proof, signature) = try? SnapshotProof.decode(bytes) {
        #expect(proof.encode(signature: signature) == bytes)
      }
    }
  }
}
