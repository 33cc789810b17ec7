// Engine and peer side by side, interleaved, so that noise hits both alike; medians and their ratio at the end.

import Base
import Disk
import Glibc

@main
struct KomoraBench {
  struct Row {
    var name: String
    var writers: Int
    var accounts: Int
    var goal: Double?
  }

  static let rows = [
    Row(name: "64 writers, 64 accounts", writers: 64, accounts: 64, goal: 1),
    Row(name: "64 writers, 1 account", writers: 64, accounts: 1, goal: 4),
    Row(name: "8 writers, 8 accounts", writers: 8, accounts: 8, goal: nil),
    Row(name: "1 writer, 1 account", writers: 1, accounts: 1, goal: nil),
  ]

  static func main() async throws {
    let arguments = CommandLine.arguments
    func option(_ name: String, _ standard: String) -> String {
      arguments.firstIndex(of: name).flatMap { $0 + 1 < arguments.count ? arguments[$0 + 1] : nil } ?? standard
    }
    if arguments.contains("--help") {
      print("komora-bench [--dir DIR] [--seconds 4] [--repetitions 5] [--only engine|peer] [--row N]")
      print("komora-bench --cluster CERTIFICATE_DIR --token-file FILE --accounts A,B [--clients 64] [--seconds 4]")
      return
    }
    if arguments.contains("--cluster") {
      let bench = ClusterBench(
        certificate: option("--cluster", ""), tokenFile: option("--token-file", ""),
        accounts: option("--accounts", "").split(separator: ",").map(String.init),
        seconds: Double(option("--seconds", "4")) ?? 4)
      return say(try await bench.run(clients: Int(option("--clients", "64")) ?? 64))
    }
    let root = option("--dir", "/tmp") + "/komora-bench-\(getpid())"
    let seconds = Double(option("--seconds", "4")) ?? 4
    let repetitions = Int(option("--repetitions", "5")) ?? 5
    let only = option("--only", "")
    let chosen = Int(option("--row", "")).map { [rows[$0]] } ?? rows
    for row in chosen { try await measure(row, root, seconds, repetitions, only) }
  }

  private static func say(_ measured: Measurement) {
    print(
      "{\"commits_per_second\": \(fixed(measured.perSecond, 1)), \"p50_ms\": \(fixed(measured.percentile(0.5), 3)), "
        + "\"p99_ms\": \(fixed(measured.percentile(0.99), 3)), \"commits\": \(measured.latencies.count), "
        + "\"client_cpu_us_per_commit\": \(fixed(measured.cpuMicrosecondsPerCommit, 1))}")
  }

  private static func measure(_ row: Row, _ root: String, _ seconds: Double, _ repetitions: Int, _ only: String)
    async throws
  {
    var ours: [EngineBench.Result] = []
    var peers: [Measurement] = []
    for _ in 0..<repetitions {
      if only != "peer" {
        ours.append(
          try await inDirectory(root) {
            try await EngineBench(directory: root, seconds: seconds, rowBytes: 1024)
              .run(writers: row.writers, accounts: row.accounts)
          })
      }
      if only != "engine" {
        peers.append(
          try await inDirectory(root) {
            try SQLiteBench(directory: root, seconds: seconds, rowBytes: 1024)
              .run(writers: row.writers, files: row.accounts)
          })
      }
    }
    let a = median(ours.map(\.measurement.perSecond))
    let b = median(peers.map(\.perSecond))
    print(
      "\(row.name): komora \(fixed(a, 0))/s p50 \(fixed(median(ours.map { $0.measurement.percentile(0.5) }))) "
        + "p99 \(fixed(median(ours.map { $0.measurement.percentile(0.99) }))) ms, "
        + "\(fixed(median(ours.map(\.logBytesPerCommit)), 0)) log bytes a commit, "
        + "\(fixed(median(ours.map(\.commitsPerSync)), 1)) commits a sync, "
        + "\(fixed(median(ours.map(\.measurement.cpuMicrosecondsPerCommit)), 0)) us of CPU a commit")
    if !peers.isEmpty {
      print(
        "  SQLite WAL FULL: \(fixed(b, 0))/s p50 \(fixed(median(peers.map { $0.percentile(0.5) }))) "
          + "p99 \(fixed(median(peers.map { $0.percentile(0.99) }))) ms, "
          + "\(fixed(median(peers.map(\.cpuMicrosecondsPerCommit)), 0)) us of CPU a commit")
    }
    if a > 0, b > 0 {
      print("  ratio \(fixed(a / b))" + (row.goal.map { ", goal \(fixed($0, 1))" } ?? ""))
    }
  }

  private static func inDirectory<T>(_ path: String, _ body: () async throws -> T) async throws -> T {
    let disk = RealDisk()
    try disk.makeDirectory(path)
    defer { remove(path, disk) }
    return try await body()
  }

  private static func remove(_ path: String, _ disk: RealDisk) {
    for name in (try? disk.list(path)) ?? [] {
      let child = "\(path)/\(name)"
      if (try? disk.info(child))?.isDirectory == true { remove(child, disk) } else { try? disk.remove(child) }
    }
    try? disk.removeDirectory(path)
  }
}
