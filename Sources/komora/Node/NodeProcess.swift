// The composition root of a node: service, metrics, ports, signals. SIGTERM and SIGINT end it gracefully: what it leads
// goes to other nodes, requests in flight finish, then jobs, then the engine.

import API
import CoreMetrics
import Foundation
import Glibc
import Logging
import Node
import ServiceLifecycle
import Threads
import UnixSignals

struct NodeProcess {
  let configuration: NodeConfiguration
  /// Ends when standard input does: a child of `komora dev` does not outlive it.
  let stopAtEndOfInput: Bool

  func run() async throws {
    let logger = Logger(label: "node")
    let socketPath = ProcessInfo.processInfo.environment["NOTIFY_SOCKET"]
    let node: NodeService
    do throws(NodeError) {
      node = try await NodeService.open(configuration)
    } catch {
      throw CommandFailure(Self.kind(error.code), error.message)
    }
    MetricsSystem.bootstrap(RegistryMetricsFactory(node.metrics))
    logger.info(
      "node opened",
      metadata: ["node": "\(configuration.name)", "id": "\(node.nodeID)", "accounts": "\(node.accounts().count)"])
    do {
      let server = try APIServer(service: node, logger: logger) { ports in
        logger.info("node ready", metadata: ["api_port": "\(ports.api)", "s3_port": "\(ports.s3)"])
        SystemdNotifier.notify("READY=1", socketPath: socketPath)
      }
      var services: [any Service] = [server]
      if stopAtEndOfInput { services.append(EndOfInput(node: node)) }
      services += [Membership(node: node), Farewell(node: node)]
      var group = ServiceGroupConfiguration(
        services: services.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
        gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
      group.maximumGracefulShutdownDuration = configuration.timers.shutdownTimeout
      try await ServiceGroup(configuration: group).run()
    } catch {
      await node.close()
      throw Self.failure(error, configuration)
    }
    SystemdNotifier.notify("STOPPING=1", socketPath: socketPath)
    await node.close()
    logger.info("node stopped")
  }

  private static func kind(_ code: NodeError.Code) -> CommandFailure.Kind {
    switch code {
    case .notFound: .notFound
    case .exists, .refused: .refused
    case .invalid: .usage
    case .unavailable, .elsewhere: .unavailable
    case .io: .failed
    }
  }

  private static func failure(_ error: any Error, _ configuration: NodeConfiguration) -> CommandFailure {
    let text = "\(error)"
    if text.contains("EADDRINUSE") || text.contains("Address already in use") {
      let listen = configuration.listen
      return CommandFailure(
        .refused,
        "\(listen.api) or \(listen.s3) is in use: choose other addresses in [listen], or stop what listens there")
    }
    return CommandFailure(.failed, "the node stopped: \(text)")
  }
}

/// The last service, so the first that a stop reaches: the others go on until it has ended.
private struct Farewell: Service {
  let node: NodeService

  func run() async throws {
    try? await gracefulShutdown()
    await node.leave()
  }
}

/// Ends, and with it the group, when the node was removed from its cluster.
private struct Membership: Service {
  let node: NodeService

  func run() async throws {
    await cancelWhenGracefulShutdown { await node.removedFromCluster() }
  }
}

/// Ends, and with it the group, when standard input is closed.
private struct EndOfInput: Service {
  let node: NodeService

  func run() async throws {
    let (ended, continuation) = AsyncStream.makeStream(of: Void.self)
    // It sits in read(2) until the input ends or the process does; nobody waits for it.
    let reader = Threads.Thread(name: "input") {
      var byte: UInt8 = 0
      while read(STDIN_FILENO, &byte, 1) > 0 {}
      node.expectEndOfAll()
      continuation.finish()
    }
    await cancelWhenGracefulShutdown { for await _ in ended {} }
    withExtendedLifetime(reader) {}
  }
}
