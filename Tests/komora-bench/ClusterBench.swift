// A running cluster, over the fabric: each client is a task of one program that inserts a row of 1 KiB and waits for its
// acknowledgement. scripts/bench starts the cluster and the peer beside it.
//
// One `KomoraClient` serves them all, as it would in a program: what is asked at the same time shares its connection.

import Base
import Formats
import Glibc
import KomoraClient

struct ClusterBench {
  /// As `komora cluster client` writes it: nodes, authority.pem, client.pem, client.key.
  var certificate: String
  /// Opens every account.
  var tokenFile: String
  /// They have a table `t (id INTEGER PRIMARY KEY, tenant INTEGER, v TEXT)`.
  var accounts: [String]
  var seconds: Double
  var warmup = 1.0

  private static let insert = "INSERT INTO t (tenant, v) VALUES (1, ?)"

  func run(clients: Int) async throws -> Measurement {
    let client = try await KomoraClient.connect(try configuration())
    let start = monotonicSeconds() + warmup
    let end = start + seconds
    let latencies = try await withThrowingTaskGroup(of: [Double].self) { group in
      for number in 0..<clients {
        let account = accounts[number % accounts.count]
        group.addTask(executorPreference: client.taskExecutor) {
          try await Self.write(number, to: account, over: client, from: start, until: end)
        }
      }
      var all: [Double] = []
      for try await part in group { all += part }
      return all
    }
    let (spent, cpu) = (monotonicSeconds() - start, cpuSecondsSoFar())
    await client.close()
    return Measurement(seconds: spent, latencies: latencies, cpuSeconds: cpu)
  }

  private static func write(
    _ number: Int, to account: String, over client: KomoraClient, from start: Double, until end: Double
  ) async throws -> [Double] {
    let row = text(seed: number)
    var latencies: [Double] = []
    while true {
      let began = monotonicSeconds()
      if began >= end { return latencies }
      _ = try await client.execute(account, insert, [.text(row)])
      if began >= start { latencies.append((monotonicSeconds() - began) * 1e3) }
    }
  }

  /// 1 KiB of text that does not compress to less than half.
  private static func text(seed: Int) -> String {
    var rows = RowSource(seed: seed)
    return rows.next(512).map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 2 ? digits : "0" + digits
    }.joined()
  }

  private func configuration() throws -> KomoraConfiguration {
    let nodes = try text(of: "\(certificate)/nodes").split(separator: "\n").map(String.init)
    return KomoraConfiguration(
      nodes: nodes, authority: try text(of: "\(certificate)/authority.pem"),
      certificate: try text(of: "\(certificate)/client.pem"), key: try bytes(of: "\(certificate)/client.key"),
      token: try text(of: tokenFile).split(separator: "\n").first.map(String.init) ?? "")
  }

  private func text(of path: String) throws -> String { String(decoding: try bytes(of: path), as: UTF8.self) }

  private func bytes(of path: String) throws -> [UInt8] {
    guard let file = fopen(path, "r") else { throw BenchFailure(message: "\(path) cannot be read") }
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 64 << 10)
    let count = fread(&bytes, 1, bytes.count, file)
    return Array(bytes[..<count])
  }
}
