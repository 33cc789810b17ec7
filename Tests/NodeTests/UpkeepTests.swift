import Backup
import Base
import Formats
import Foundation
import Node
import ShardStore
import Testing
import Threads

/// The time that retention goes by, and what a node lets go by it.
@Suite struct UpkeepTests {
  private let directory = TemporaryDirectory()

  /// A wall clock and a monotone one, apart.
  private final class TwoClocks: StoreClock {
    private let state = Lock((wall: UnixMicroseconds(1_760_000_000_000_000), monotonic: UInt64(5_000_000_000)))
    func unixMicroseconds() -> UnixMicroseconds { state.with { $0.wall } }
    func monotonicNanoseconds() -> UInt64 { state.with { $0.monotonic } }
    func pass(_ seconds: Int64) {
      state.with { s in
        s.wall += seconds * 1_000_000
        s.monotonic += UInt64(seconds) * 1_000_000_000
      }
    }
    func set(ahead seconds: Int64) { state.with { $0.wall += seconds * 1_000_000 } }
  }

  private static let day: Int64 = 86_400

  private func open(_ clock: any StoreClock) async throws -> NodeService {
    var configuration = NodeConfiguration(directory: directory.path)
    configuration.timers.schedulerInterval = .seconds(3600)
    configuration.timers.archiveUpkeepPeriod = .seconds(3600)
    return try await NodeService.open(configuration, clock: clock)
  }

  private func snapshot(_ node: NodeService) async throws {
    let id = try node.startSnapshot(account: "acme")
    while node.job(id)?.state.isFinal == false { try await Task.sleep(for: .milliseconds(5)) }
    #expect(node.job(id)?.state == .done)
  }

  @Test("snapshots go when they are older than the retention, by time that has passed and by no clock that was set")
  func expiry() async throws {
    let clock = TwoClocks()
    var node = try await open(clock)
    _ = try await node.createAccount(name: "acme")
    for _ in 0..<3 {
      try await snapshot(node)
      clock.pass(Self.day)
      #expect(await node.keepArchives().values.allSatisfy { $0.expiredSnapshots == 0 })
    }
    let old = Set(try await node.snapshots(account: "acme").map(\.id))
    try await snapshot(node)
    clock.set(ahead: 400 * Self.day)
    #expect(await node.keepArchives().values.allSatisfy { $0.expiredSnapshots == 0 })
    #expect(try await node.snapshots(account: "acme").count >= 4)
    clock.set(ahead: -400 * Self.day)
    // The time goes on where it was after a restart.
    await node.close()
    node = try await open(clock)
    for _ in 0..<7 {
      clock.pass(Self.day)
      _ = await node.keepArchives()
    }
    let left = try await node.snapshots(account: "acme")
    // The nightly ones may have come as well.
    #expect(
      old.count == 3 && left.count < 4 && left.allSatisfy { !old.contains($0.id) && $0.state == .proven }, "\(left)")
    #expect(node.metricsText().contains("komora_archive_expired_snapshots_total \(old.count)"))
    await node.close()
  }

  @Test("a clock that was ahead when the node first started makes nothing old once it is right")
  func aheadAtFirst() async throws {
    let clock = TwoClocks()
    clock.set(ahead: 400 * Self.day)
    let node = try await open(clock)
    clock.set(ahead: -400 * Self.day)
    _ = try await node.createAccount(name: "acme")
    for _ in 0..<3 {
      try await snapshot(node)
      clock.pass(Self.day)
      #expect(await node.keepArchives().values.allSatisfy { $0.expiredSnapshots == 0 })
    }
    #expect(try await node.snapshots(account: "acme").count >= 3)
    await node.close()
  }

  @Test("where the time of retention cannot be read nothing goes")
  func unknownTime() async throws {
    let clock = TwoClocks()
    var node = try await open(clock)
    _ = try await node.createAccount(name: "acme")
    try await snapshot(node)
    clock.pass(Self.day)
    try await snapshot(node)
    await node.close()
    let path = node.configuration.paths.data + "/retention-time"
    let whole = try Data(contentsOf: URL(fileURLWithPath: path))
    try Data("komora retention time 1: soon\n".utf8).write(to: URL(fileURLWithPath: path))
    node = try await open(clock)
    clock.pass(30 * Self.day)
    #expect(await node.keepArchives().isEmpty)
    #expect(try await node.snapshots(account: "acme").count == 2)
    await node.close()
    try whole.write(to: URL(fileURLWithPath: path))
    node = try await open(clock)
    clock.pass(30 * Self.day)
    let reports = await node.keepArchives()
    #expect(reports.values.allSatisfy { $0.expiredSnapshots >= 1 } && reports.count == 1, "\(reports)")
    await node.close()
  }
}
