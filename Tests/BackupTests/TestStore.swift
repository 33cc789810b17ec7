// A live engine with an account, and the steps that end-to-end tests of backups take on it.

import AtRest
import Backup
import Base
import Disk
import Formats
import OpenSSL
import SQLite
import ShardStore
import Simulator
import Testing

/// A key-encryption key in memory.
struct TestKeyEncryption: KeyEncryption {
  let key: [UInt8]
  var id: String { "test-\(key[0])" }

  init(_ seed: UInt8 = 7) { key = [UInt8](repeating: seed, count: 32) }

  func wrap(_ secret: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8] {
    let nonce = SystemRandom.bytes(12)
    return nonce + AESGCM(key: SecretBytes(key)).seal(secret.copy, nonce: nonce, aad: account.bytes)
  }

  func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
    let cipher = AESGCM(key: SecretBytes(key))
    guard wrapped.count > 12,
      let plain = cipher.open(Array(wrapped.dropFirst(12)), nonce: Array(wrapped.prefix(12)), aad: account.bytes)
    else { throw AtRestError(.wrongKey, "another key") }
    return SecretBytes(plain)
  }
}

struct TestStore {
  let disk: any Disk
  let engine: Engine
  let kek = TestKeyEncryption()

  static func open(
    _ disk: any Disk, root: String = "/node", logFileBytes: Int = 2 << 20, clock: any StoreClock = SystemClock(),
    _ change: (inout EngineConfiguration) -> Void = { _ in }
  ) throws -> TestStore {
    var configuration = EngineConfiguration(directory: root, node: NodeID(bits: 1))
    // Zero-filling a log of the usual size would be most of what a test does.
    configuration.logFileBytes = logFileBytes
    configuration.writerThreads = 1
    configuration.readerThreads = 2
    change(&configuration)
    return TestStore(
      disk: disk, engine: try Engine.open(configuration, disk: disk, kek: TestKeyEncryption(), clock: clock))
  }

  func archive(_ account: AccountID, root: String = "/archive") -> AccountArchive {
    AccountArchive(disk: disk, layout: ArchiveLayout(root: root, account: account), packBytesMax: 1 << 20)
  }

  /// An account with rows and recordings, the largest of three chunks.
  func makeAccount(_ id: AccountID, rows: Int = 500, recordings: Int = 4) async throws {
    try await engine.createAccount(id)
    _ = try await engine.write(id) { connection in
      try connection.execute("CREATE TABLE calls(id INTEGER PRIMARY KEY, body TEXT)")
      for i in 0..<rows {
        try connection.execute(
          "INSERT INTO calls(body) VALUES(?)", .text("call \(i) " + String(repeating: "x", count: 500)))
      }
    }
    for i in 0..<recordings { try await addRecording(id, "calls/\(i).wav", bytes: i * 200_000 + 10, seed: UInt64(i)) }
  }

  func addRecording(_ id: AccountID, _ key: String, bytes: Int, seed: UInt64) async throws {
    let upload = try await engine.upload(id)
    let content = Self.content(bytes, seed: seed)
    for start in stride(from: 0, to: bytes, by: 100_000) {
      try await upload.append(Array(content[start..<min(bytes, start + 100_000)]))
    }
    let stored = try await upload.finish()
    _ = try await engine.write(id) { connection in
      try RecordingCatalog.put(connection, key: key, stored, contentType: "audio/wav", metadata: "{}", at: 1)
    }
  }

  static func content(_ bytes: Int, seed: UInt64) -> [UInt8] {
    var random = SeededGenerator(seed: seed)
    return (0..<bytes).map { i in i % 3 == 0 ? UInt8(truncatingIfNeeded: random.next()) : UInt8(truncatingIfNeeded: i) }
  }

  /// Every row of every table of the account and every byte of every recording, as text and hashes.
  func fingerprint(_ id: AccountID) async throws -> [String] {
    let dump = try await engine.read(id) { connection in
      var lines: [String] = []
      let tables = try connection.query("SELECT name FROM main.sqlite_schema WHERE type = 'table' ORDER BY name")
      for case .text(let table) in tables.map({ $0[0] }) {
        for row in try connection.query("SELECT * FROM main.\"\(table)\" ORDER BY 1") {
          lines.append("\(table) \(row)")
        }
      }
      return lines
    }.value
    return try await dump + recordingHashes(id)
  }

  private func recordingHashes(_ id: AccountID) async throws -> [String] {
    let rows = try await engine.read(id) { try RecordingCatalog.list($0, limit: 1000) }.value
    var lines: [String] = []
    for row in rows {
      let reader = try await engine.recording(id, row.id)
      var content: [UInt8] = []
      while content.count < reader.size {
        content += try await reader.read(offset: content.count, count: Limits.recordingChunkBytes)
      }
      #expect(content.count == row.bytes)
      lines.append("\(row.key) \(SHA256.hash(content).hex)")
    }
    return lines
  }
}
