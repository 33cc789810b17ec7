// Uploads in parts, and recordings that are coded as audio, in a real engine.

import Base
import Disk
import Glibc
import SQLite
import ShardStore
import Testing
import Threads

@Suite struct MultipartTests {
  private let upload = MultipartUpload(
    id: Array(1...16), key: "k", contentType: "audio/wav", metadata: "{}", createdAt: Int64(time(nil)) * 1_000_000)

  private func opened(_ directory: TemporaryDirectory) throws -> Engine {
    try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey())
  }

  private func store(_ engine: Engine, _ bytes: [UInt8], in piece: Int = 100_000) async throws -> StoredRecording {
    let upload = try await engine.upload(id(1))
    for start in stride(from: 0, to: bytes.count, by: piece) {
      try await upload.append(Array(bytes[start..<min(start + piece, bytes.count)]))
    }
    return try await upload.finish()
  }

  private func read(_ engine: Engine, _ recording: RecordingID) async throws -> [UInt8] {
    let reader = try await engine.recording(id(1), recording)
    var back: [UInt8] = []
    while back.count < reader.size { back += try await reader.read(offset: back.count, count: 1 << 20) }
    return back
  }

  private func collect(_ engine: Engine) async throws -> Int {
    try await engine.collectRecordings(id(1), grace: .zero, keepDeleted: .seconds(1)).recordings
  }

  @Test("parts are kept while their upload is open, across a restart, and are free when it ends")
  func life() async throws {
    let directory = TemporaryDirectory()
    var engine = try opened(directory)
    try await engine.createAccount(id(1))
    _ = try await engine.write(id(1)) { [upload] in try MultipartCatalog.begin($0, upload) }
    let bodies = [1, 2, 2].enumerated().map { i, _ in [UInt8](repeating: UInt8(i), count: 300_000 + i) }
    for (i, number) in [1, 2, 2].enumerated() {
      let part = try await store(engine, bodies[i])
      _ = try await engine.write(id(1)) { [upload] in
        try MultipartCatalog.put($0, part: number, of: upload.id, part, checksum: "", at: 5)
      }
    }
    engine.close()
    engine = try opened(directory)
    let parts = try await engine.read(id(1)) { [upload] in
      try MultipartCatalog.parts($0, of: upload.id, limit: 100)
    }.value
    #expect(parts.map(\.number) == [1, 2] && parts.map(\.bytes) == [300_000, 300_002])
    // The part that was replaced is nobody's.
    #expect(try await collect(engine) == 1)
    for (part, body) in zip(parts, [bodies[0], bodies[2]]) { #expect(try await read(engine, part.id) == body) }
    _ = try await engine.write(id(1)) { [upload] in try MultipartCatalog.end($0, upload.id, etag: "e-2") }
    #expect(try await collect(engine) == 2)
    let ended = try await engine.read(id(1)) { [upload] in try MultipartCatalog.upload($0, upload.id) }.value
    #expect(ended?.etag == "e-2")
    let open = try await engine.read(id(1)) {
      try MultipartCatalog.list($0, prefix: "", after: "", [], limit: 10)
    }.value
    #expect(open.isEmpty)
    engine.close()
  }

  @Test("an upload that nobody ended is ended after a week")
  func expires() async throws {
    let directory = TemporaryDirectory()
    let engine = try opened(directory)
    try await engine.createAccount(id(1))
    let part = try await store(engine, [1, 2, 3])
    let now = Int64(time(nil)) * 1_000_000
    let day: Int64 = 86_400_000_000
    for (number, age) in [(UInt8(1), 8 * day), (2, 6 * day)] {
      var upload = upload
      upload.id = Array(repeating: number, count: 16)
      upload.createdAt = now - age
      let made = upload
      _ = try await engine.write(id(1)) { connection in
        try MultipartCatalog.begin(connection, made)
        if number == 1 {
          try MultipartCatalog.put(connection, part: 1, of: made.id, part, checksum: "", at: now)
        }
      }
    }
    #expect(try await collect(engine) == 1)
    let left = try await engine.read(id(1)) {
      try MultipartCatalog.list($0, prefix: "", after: "", [], limit: 10)
    }.value
    #expect(left.map(\.id) == [Array(repeating: 2, count: 16)])
    engine.close()
  }

  @Test("open uploads are listed in pages, each once, under their prefix only")
  func pages() async throws {
    let directory = TemporaryDirectory()
    let engine = try opened(directory)
    try await engine.createAccount(id(1))
    let uploads = (0..<12).map { n in
      MultipartUpload(
        id: Array(repeating: UInt8(n * 7 % 12), count: 16), key: ["a/1", "a/2", "b"][n % 3], contentType: "",
        metadata: "{}", createdAt: 1)
    }
    _ = try await engine.write(id(1)) { connection in
      for upload in uploads { try MultipartCatalog.begin(connection, upload) }
    }
    var found: [MultipartUpload] = []
    while true {
      let last = found.last
      let page = try await engine.read(id(1)) {
        try MultipartCatalog.list($0, prefix: "a/", after: last?.key ?? "", last?.id ?? [], limit: 3)
      }.value
      if page.isEmpty { break }
      found += page
    }
    #expect(
      found.count == 8 && found.map(\.key) == Array(repeating: "a/1", count: 4) + Array(repeating: "a/2", count: 4))
    #expect(Set(found.map(\.id)).count == 8)
    engine.close()
  }

  @Test("a call in a WAV file takes less than half, and comes back byte for byte, whole, by range and after a restart")
  func audio() async throws {
    let directory = TemporaryDirectory()
    var engine = try opened(directory)
    try await engine.createAccount(id(1))
    let call = Self.call(sampleFrames: 300_000)
    let stored = try await store(engine, call, in: 64 << 10)
    _ = try await engine.write(id(1)) {
      try RecordingCatalog.put($0, key: "c.wav", stored, contentType: "audio/wav", metadata: "{}", at: 1)
    }
    let reader = try await engine.recording(id(1), stored.id)
    var sealed = 0
    for number in 0..<reader.chunkCount { sealed += try await reader.sealedChunk(number).count }
    #expect(sealed * 2 < call.count)
    engine.close()
    engine = try opened(directory)
    #expect(try await read(engine, stored.id) == call)
    let again = try await engine.recording(id(1), stored.id)
    for offset in [0, 43, 44, 45, 262_143, 262_144, 500_001, call.count - 1] {
      let bytes = try await again.read(offset: offset, count: 1000)
      #expect(!bytes.isEmpty && bytes == Array(call[offset..<(offset + bytes.count)]))
    }
    engine.close()
  }

  /// Two legs of 16 bits that came over a line with 255 values.
  private static func call(sampleFrames: Int) -> [UInt8] {
    var random = SeededGenerator(seed: 11)
    let count = sampleFrames * 4
    func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    var bytes = Array("RIFF".utf8) + word(count + 36) + Array("WAVEfmt ".utf8) + word(16)
    bytes += [1, 0, 2, 0] + word(8000) + word(32_000) + [4, 0, 16, 0] + Array("data".utf8) + word(count)
    var phase = [0, 0]
    for _ in 0..<sampleFrames {
      for leg in 0..<2 {
        phase[leg] = (phase[leg] + 1 + leg) % 40
        // A coarse triangle with noise, in steps of 256.
        let value = (abs(phase[leg] - 20) - 10 + random.below(3)) * 256
        bytes += [UInt8(truncatingIfNeeded: value), UInt8(truncatingIfNeeded: value >> 8)]
      }
    }
    return bytes
  }
}
