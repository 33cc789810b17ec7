// Nodes of one cluster in this process: real fabric on loopback, real etcd, directories of their own.

import Base
import Foundation
import Node
import ShardStore
import Testing
import Threads

/// All suites of clusters; one test at a time, since each of them runs several nodes.
@Suite("cluster", .serialized)
enum ClusterTests {}

/// Goes with the world's time, which the certificates follow, and can be moved ahead.
final class ShiftedClock: StoreClock {
  private let shift = Lock<Int64>(0)
  func unixMicroseconds() -> UnixMicroseconds { SystemClock().unixMicroseconds() + shift.with { $0 } }
  func monotonicNanoseconds() -> UInt64 { SystemClock().monotonicNanoseconds() }
  func advance(_ seconds: Int64) { shift.with { $0 += seconds * 1_000_000 } }
}

final class ClusterBed {
  let directory = TemporaryDirectory()
  let clock = ShiftedClock()
  let etcd: EtcdServer
  /// Of nodes that are configured from then on.
  var caretakerLease = Duration.seconds(2)
  /// Nodes that are opened from then on have archives.
  var hasArchives = false

  init() throws { etcd = try EtcdServer.shared.get() }

  func path(_ name: String) -> String { directory.path + "/" + name }

  /// A node with directories and ports of its own. `place` names its directory where that is not its name.
  func configuration(_ name: String, _ region: String = "eu", place: String? = nil) -> NodeConfiguration {
    var configuration = NodeConfiguration(directory: path(place ?? name))
    configuration.name = name
    configuration.region = region
    configuration.listen.api.port = Int(Ports.next())
    configuration.listen.s3.port = 0
    configuration.listen.fabric.port = Int(Ports.next())
    configuration.control.engine = .etcd
    configuration.control.endpoints = [etcd.endpoint]
    configuration.control.authority = etcd.path("ca.crt")
    configuration.control.certificate = etcd.path("client.crt")
    configuration.control.key = etcd.path("client.key")
    configuration.timers.requestTimeout = .seconds(20)
    // A test that wants the schedule runs it.
    configuration.timers.schedulerInterval = .seconds(3600)
    configuration.fabric.leaveLinger = .milliseconds(100)
    configuration.fabric.reconnectPeriod = .milliseconds(500)
    configuration.fabric.pushPullPeriod = .seconds(2)
    configuration.fabric.handshakeTimeout = .seconds(10)
    configuration.fabric.questionTimeout = .seconds(10)
    configuration.fabric.healthSample = .milliseconds(100)
    configuration.fabric.caretakerInterval = .milliseconds(20)
    configuration.fabric.caretakerLease = caretakerLease
    configuration.limits.writersCount = 1
    // The disk of whoever runs the tests is none of their business.
    configuration.limits.diskFillPermille = 1000
    return configuration
  }

  func open(_ configuration: NodeConfiguration, _ store: FaultyControlStore? = nil) async throws -> NodeService {
    try await NodeService.open(configuration, clock: clock, backups: hasArchives ? nil : FakeBackups()) { inner in
      store?.over(inner) ?? inner
    }
  }

  func found(_ name: String = "a", _ region: String = "eu") async throws -> NodeService {
    let configuration = configuration(name, region)
    _ = try await ClusterSetup.found(configuration)
    return try await open(configuration)
  }

  func join(
    _ issuer: NodeService, _ configuration: NodeConfiguration, makesIssuer: Bool = false
  ) async throws -> ClusterSetup.Report {
    let invitation = try await issuer.invite(
      name: configuration.name, region: configuration.region, makesIssuer: makesIssuer)
    return try await ClusterSetup.join(configuration, with: invitation)
  }

  /// Running nodes that all know each other alive. The first is the issuer; `stores` go under the nodes in order.
  func cluster(
    _ nodes: [(name: String, region: String)], _ stores: [FaultyControlStore?] = []
  ) async throws -> [NodeService] {
    try await cluster(nodes.map { configuration($0.name, $0.region) }, stores)
  }

  func cluster(
    _ nodes: [NodeConfiguration], _ stores: [FaultyControlStore?] = []
  ) async throws -> [NodeService] {
    var running: [NodeService] = []
    for (i, configuration) in nodes.enumerated() {
      if let issuer = running.first {
        _ = try await join(issuer, configuration)
      } else {
        _ = try await ClusterSetup.found(configuration)
      }
      running.append(try await open(configuration, i < stores.count ? stores[i] : nil))
    }
    try await untilAlive(running)
    return running
  }

  func close(_ nodes: [NodeService]) async {
    await withTaskGroup(of: Void.self) { group in for node in nodes { group.addTask { await node.close() } } }
  }
}

/// Waits until `condition` holds; the limit is for a machine that is much too busy.
func until(
  _ what: String, _ condition: () async throws -> Bool, sourceLocation: SourceLocation = #_sourceLocation
) async throws {
  let end = ContinuousClock.now + .seconds(60)
  while try await !condition() {
    try #require(ContinuousClock.now < end, "\(what)", sourceLocation: sourceLocation)
    try await Task.sleep(for: .milliseconds(10))
  }
}

/// Every node believes of every one that it lives, at the incarnation that this one has itself.
func untilAlive(_ nodes: [NodeService], sourceLocation: SourceLocation = #_sourceLocation) async throws {
  try await until(
    "all alive",
    {
      var incarnations: [String: Set<UInt64>] = [:]
      for node in nodes {
        let status = try await node.clusterStatus()
        let alive = status.nodes.filter { $0.health == .alive && $0.record.state != .joining }
        guard alive.count >= nodes.count else { return false }
        for other in alive { incarnations[other.record.name, default: []].insert(other.incarnation) }
      }
      return nodes.allSatisfy { incarnations[$0.configuration.name]?.count == 1 }
    }, sourceLocation: sourceLocation)
}

extension NodeService {
  /// The sum of a metric's values over all its labels that contain `label`.
  func metric(_ name: String, _ label: String = "") -> Double {
    metricsText().split(separator: "\n").filter { $0.hasPrefix(name) && (label.isEmpty || $0.contains(label)) }
      .compactMap { $0.split(separator: " ").last.flatMap { Double($0) } }.reduce(0, +)
  }
}

func hasCode(_ code: NodeError.Code, _ part: String = "") -> (any Error) -> Bool {
  { error in (error as? NodeError).map { $0.code == code && (part.isEmpty || $0.message.contains(part)) } ?? false }
}
