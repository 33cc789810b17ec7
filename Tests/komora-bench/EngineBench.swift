// Our engine in process: each writer is a task that inserts one row of 1 KiB and waits until it is durable.

import AtRest
import Base
import Disk
import OpenSSL
import SQLite
import ShardStore
import Threads

struct BenchKey: KeyEncryption {
  let id = "bench"
  private let key = SecretBytes.random(32)

  func wrap(_ secret: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8] {
    let nonce = SystemRandom.bytes(12)
    return nonce + AESGCM(key: key).seal(secret.copy, nonce: nonce, aad: account.bytes)
  }

  func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
    guard let plain = AESGCM(key: key).open(Array(wrapped[12...]), nonce: Array(wrapped[..<12]), aad: account.bytes)
    else { throw AtRestError(.wrongKey, "another key") }
    return SecretBytes(plain)
  }
}

/// Random bytes of a row; the same for the peer.
struct RowSource {
  private var generator: SeededGenerator
  init(seed: Int) { generator = SeededGenerator(seed: UInt64(seed)) }

  mutating func next(_ count: Int) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: count) { buffer, used in
      let raw = UnsafeMutableRawBufferPointer(buffer)
      for i in 0..<(count / 8) { raw.storeBytes(of: generator.next(), toByteOffset: i * 8, as: UInt64.self) }
      used = count
    }
  }
}

struct EngineBench {
  var directory: String
  var seconds: Double
  var rowBytes: Int
  /// Seconds that are not measured: files that grow, connections that open.
  var warmup = 1.0

  struct Result {
    var measurement: Measurement
    var logBytesPerCommit: Double
    var commitsPerSync: Double
  }

  func run(writers: Int, accounts: Int) async throws -> Result {
    var configuration = EngineConfiguration(directory: directory, node: NodeID(bits: 1))
    configuration.writerThreads = 2
    let engine = try Engine.open(configuration, disk: RealDisk(), kek: BenchKey())
    let ids = (0..<accounts).map { AccountID(bits: UInt128($0 + 1) << 64 | UInt128(1)) }
    for id in ids {
      try await engine.createAccount(id)
      _ = try await engine.write(id) { try $0.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)") }
    }
    let start = monotonicSeconds() + warmup
    let end = start + seconds
    let rowBytes = rowBytes
    let probe = Lock((cpu: 0.0, counters: engine.logCounters))
    let latencies = try await withThrowingTaskGroup(of: [Double].self) { group in
      for writer in 0..<writers {
        let id = ids[writer % accounts]
        group.addTask {
          var rows = RowSource(seed: writer)
          let row = rows.next(rowBytes)
          var latencies: [Double] = []
          while true {
            let t = monotonicSeconds()
            if t >= end { return latencies }
            _ = try await engine.write(id) { try $0.execute("INSERT INTO t (v) VALUES (?)", .blob(row)) }
            if t >= start { latencies.append((monotonicSeconds() - t) * 1e3) }
          }
        }
      }
      try await Task.sleep(for: .seconds(warmup))
      probe.with { $0 = (cpuSecondsSoFar(), engine.logCounters) }
      var all: [Double] = []
      for try await part in group { all += part }
      return all
    }
    let spent = monotonicSeconds() - start
    let (cpu, before) = probe.with { $0 }
    let burnt = cpuSecondsSoFar() - cpu
    let after = engine.logCounters
    engine.close()
    let commits = Double(max(latencies.count, 1))
    return Result(
      measurement: Measurement(seconds: spent, latencies: latencies, cpuSeconds: burnt),
      logBytesPerCommit: Double(after.recordBytes - before.recordBytes) / commits,
      commitsPerSync: commits / Double(max(after.syncs - before.syncs, 1)))
  }
}
