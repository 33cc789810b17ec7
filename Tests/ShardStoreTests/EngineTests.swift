import Base
import Disk
import SQLite
import ShardStore
import Testing
import Threads

private final class TwoClocks: StoreClock {
  let unix = Lock<Int64>(1_000_000_000_000)
  let monotonic = Lock<UInt64>(5_000_000_000)
  func unixMicroseconds() -> UnixMicroseconds { unix.with { $0 } }
  func monotonicNanoseconds() -> UInt64 { monotonic.with { $0 } }
}

@Suite struct EngineTests {
  @Test("what was written is read, also after the engine was closed and opened again")
  func survivesReopening() async throws {
    let directory = TemporaryDirectory()
    do {
      let engine = try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey())
      try await engine.createAccount(id(1))
      _ = try await engine.write(id(1)) { try $0.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, y TEXT)") }
      for i in 0..<200 {
        _ = try await engine.write(id(1)) {
          try $0.execute("INSERT INTO t (y) VALUES (?)", .text(String(repeating: "row \(i) ", count: 20)))
        }
      }
      let answer = try await engine.read(id(1)) { try $0.query("SELECT count(*), sum(length(y)) FROM t") }
      #expect(answer.value[0][0] == .integer(200))
      engine.close()
    }
    let engine = try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey())
    let rows = try await engine.read(id(1)) { try $0.query("SELECT count(*) FROM t") }
    #expect(rows.value == [[.integer(200)]])
    let check = try await engine.read(id(1)) { try $0.query("PRAGMA integrity_check") }
    #expect(check.value == [[.text("ok")]])
    engine.close()
  }

  @Test("a recording comes back byte for byte, whole and by range")
  func recordings() async throws {
    let directory = TemporaryDirectory()
    let engine = try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey())
    try await engine.createAccount(id(1))
    var random = SeededGenerator(seed: 3)
    let bytes = (0..<700_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    let upload = try await engine.upload(id(1))
    for start in stride(from: 0, to: bytes.count, by: 50_000) {
      try await upload.append(Array(bytes[start..<min(start + 50_000, bytes.count)]))
    }
    let stored = try await upload.finish()
    #expect(stored.bytes == bytes.count)
    _ = try await engine.write(id(1)) {
      try RecordingCatalog.put($0, key: "calls/1.wav", stored, contentType: "audio/wav", metadata: "{}", at: 1)
    }
    let reader = try await engine.recording(id(1), stored.id)
    var back: [UInt8] = []
    while back.count < reader.size { back += try await reader.read(offset: back.count, count: 1 << 20) }
    #expect(back == bytes)
    #expect(try await reader.read(offset: 300_000, count: 10) == Array(bytes[300_000..<300_010]))
    engine.close()
  }

  @Test("a member that breaks its transaction hurts no other")
  func batchIsolation() async throws {
    let directory = TemporaryDirectory()
    let engine = try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey())
    try await engine.createAccount(id(1))
    _ = try await engine.write(id(1)) {
      try $0.executeScript(
        """
        CREATE TABLE p (id INTEGER PRIMARY KEY);
        CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE u (x TEXT UNIQUE);
        INSERT INTO u VALUES ('taken');
        """)
    }
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for i in 0..<300 {
        group.addTask {
          do {
            _ = try await engine.write(id(1)) { connection in
              switch i % 4 {
              case 0: try connection.execute("INSERT INTO p (id) VALUES (?)", .integer(Int64(i + 1)))
              case 1: try connection.execute("INSERT OR ROLLBACK INTO u VALUES ('taken')")
              case 2: try connection.execute("INSERT INTO c (p) VALUES (-1)")
              default: try connection.execute("ROLLBACK")
              }
            }
            return true
          } catch { return false }
        }
      }
      var applied = 0
      for try await ok in group where ok { applied += 1 }
      #expect(applied == 75)
    }
    let rows = try await engine.read(id(1)) {
      try $0.query("SELECT (SELECT count(*) FROM p), (SELECT count(*) FROM c), (SELECT count(*) FROM u)")
    }
    #expect(rows.value == [[.integer(75), .integer(0), .integer(1)]])
    engine.close()
  }

  @Test("an idempotency key is kept for its time on the monotonic clock, wherever the wall clock jumps")
  func idempotencyTime() async throws {
    let directory = TemporaryDirectory()
    let clock = TwoClocks()
    let hour: UInt64 = 3_600_000_000_000
    func opened() throws -> Engine {
      try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey(), clock: clock)
    }
    func write(_ engine: Engine, _ key: String) async throws -> Bool {
      try await engine.write(id(1), idempotency: Idempotency(key: key, requestHash: [1])) {
        try $0.execute("INSERT INTO t VALUES (1)")
        return [7]
      }.replayed
    }
    var engine = try opened()
    try await engine.createAccount(id(1))
    _ = try await engine.write(id(1)) { try $0.execute("CREATE TABLE t (x)") }
    #expect(try await !write(engine, "a"))
    clock.unix.with { $0 += 90_000_000_000 }
    clock.monotonic.with { $0 += 23 * hour }
    #expect(try await write(engine, "a"))
    #expect(try await !write(engine, "b"))
    engine.close()
    clock.unix.with { $0 += 900_000_000_000 }
    engine = try opened()
    #expect(try await write(engine, "a"))
    #expect(try await write(engine, "b"))
    clock.unix.with { $0 = 0 }
    clock.monotonic.with { $0 += 2 * hour }
    #expect(try await write(engine, "b"))
    #expect(try await !write(engine, "a"))
    let rows = try await engine.read(id(1)) { try $0.query("SELECT count(*) FROM t") }
    #expect(rows.value == [[.integer(3)]])
    engine.close()
  }

  @Test("an engine that is let go without being closed ends its threads, and its directory opens again")
  func letGo() async throws {
    let directory = TemporaryDirectory()
    var engine: Engine? = try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey())
    try await engine?.createAccount(id(1))
    _ = try await engine?.write(id(1)) { try $0.execute("CREATE TABLE t (x)") }
    weak let last = engine
    engine = nil
    while last != nil { await Task.yield() }
    let again = try Engine.open(testConfiguration(directory.path), disk: RealDisk(), kek: TestKey())
    #expect(try await again.read(id(1)) { try $0.query("SELECT count(*) FROM t") }.value == [[.integer(0)]])
    again.close()
  }
}
