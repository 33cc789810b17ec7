// Epochs that end at any moment of a write: what an ended one made and handed to nobody is never built upon.

import Base
import Disk
import Formats
import SQLite
import ShardStore
import Testing
import Threads

/// One voter that holds each record that the log is handed against the one before, and calls all that is synced
/// committed.
private final class ChainSink: ReplicaSink {
  struct State {
    var engine: Engine?
    var end: Position?
    var breaks: [String] = []
    var isOver = false
  }
  let state = Lock(State())
  private let pool = WorkPool(name: "chain", threads: 1)

  deinit { pool.stop() }

  func appended(_ account: AccountID, _ records: [SealedRecord]) {
    state.with { s in
      for record in records {
        if let end = s.end, record.header.index != end.index + 1 || record.header.previous != end.checksum {
          s.breaks.append("\(record.position) behind \(end)")
        }
        s.end = record.position
      }
    }
  }

  func synced(_ account: AccountID, _ position: Position) {
    _ = pool.run { self.state.with { $0.engine }?.publish(account, upTo: position) }
  }

  func failed(_ account: AccountID, end: Position) { state.with { $0.end = end } }
}

@Suite("epochs that end")
struct EpochEndTests {
  // Found by the checkers on real nodes (verdict seed 1207): an epoch ended between the sealing of a write's records and
  // the installing of its pages, and the next epoch began one index too far.
  @Test("whenever an epoch ends, the next one goes on behind the last record that the log was handed")
  func chain() async throws {
    let (directory, account) = (TemporaryDirectory(), id(1))
    let engine = try Engine.open(
      ReplicaPair.configuration(directory.path), disk: RealDisk(), kek: TestKey())
    let sink = ChainSink()
    engine.setSink(sink)
    sink.state.with { $0.engine = engine }
    try await engine.createAccount(account)
    try await engine.lead(account, epoch: 1)
    _ = try await engine.write(account) { try $0.execute("CREATE TABLE t (x INTEGER PRIMARY KEY, y BLOB)") }
    let acknowledged = await withTaskGroup(of: Int.self) { group in
      for writer in 0..<4 {
        group.addTask {
          var done = 0
          for n in 0... {
            // Moved, or unknown until the next epoch says: either is an answer.
            let answer = try? await engine.write(account) {
              try $0.execute("INSERT INTO t VALUES (\(n * 4 + writer), randomblob(20000))")
            }
            if answer != nil { done += 1 }
            if sink.state.with({ $0.isOver }) { break }
          }
          return done
        }
      }
      group.addTask {
        for epoch in 2...120 as ClosedRange<Epoch> {
          try? await Task.sleep(for: .microseconds(Int(epoch % 16) * 250))
          engine.stopLeading(account)
          try? await engine.lead(account, epoch: epoch)
        }
        sink.state.with { $0.isOver = true }
        return 0
      }
      return await group.reduce(0, +)
    }
    #expect(sink.state.with { $0.breaks } == [])
    let rows = try await engine.read(account) { try $0.query("SELECT count(*) FROM t")[0][0].integer ?? 0 }.value
    #expect(rows >= acknowledged && acknowledged > 0, "\(rows) rows, \(acknowledged) acknowledged")
    let check = try await engine.read(account) { try $0.query("PRAGMA integrity_check")[0][0] }.value
    #expect(check == .text("ok"))
    sink.state.with { $0.engine = nil }
    engine.close()
  }
}
