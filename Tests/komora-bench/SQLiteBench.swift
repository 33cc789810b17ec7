// The peer: plain SQLite, WAL, synchronous=FULL, in process, a thread per writer, a file per writer or one for all.

import Base
import Glibc
import SQLite
import Threads

struct SQLiteBench {
  var directory: String
  var seconds: Double
  var rowBytes: Int
  var warmup = 1.0

  func run(writers: Int, files: Int) throws -> Measurement {
    for file in 0..<files {
      let connection = try open(file)
      try connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)")
    }
    let start = monotonicSeconds() + warmup
    let end = start + seconds
    let all = Lock<[Double]>([])
    let failures = Lock<[String]>([])
    let threads = (0..<writers).map { writer in
      Thread(name: "peer-\(writer)") {
        do {
          let latencies = try write(writer, file: writer % files, from: start, until: end)
          all.with { $0 += latencies }
        } catch { failures.with { $0.append("\(error)") } }
      }
    }
    usleep(UInt32(warmup * 1e6))
    let cpu = cpuSecondsSoFar()
    for thread in threads { thread.join() }
    if let failure = failures.with({ $0.first }) { throw BenchFailure(message: "the peer failed: \(failure)") }
    return Measurement(
      seconds: monotonicSeconds() - start, latencies: all.with { $0 }, cpuSeconds: cpuSecondsSoFar() - cpu)
  }

  private func open(_ file: Int) throws -> Connection {
    let connection = try Connection(path: "\(directory)/peer-\(file).sqlite", .create)
    try connection.execute("PRAGMA busy_timeout=30000")
    try connection.execute("PRAGMA journal_mode=wal")
    try connection.execute("PRAGMA synchronous=full")
    return connection
  }

  private func write(_ writer: Int, file: Int, from start: Double, until end: Double) throws -> [Double] {
    let connection = try open(file)
    var rows = RowSource(seed: writer)
    let row = rows.next(rowBytes)
    var latencies: [Double] = []
    while true {
      let t = monotonicSeconds()
      if t >= end { return latencies }
      try connection.execute("INSERT INTO t (v) VALUES (?)", .blob(row))
      if t >= start { latencies.append((monotonicSeconds() - t) * 1e3) }
    }
  }
}

struct BenchFailure: Error, CustomStringConvertible {
  var message: String
  var description: String { message }
}
