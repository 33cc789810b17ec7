// The node's two HTTPS ports: API (admin, SQL, probes; HTTP/1.1 and HTTP/2) and S3 (HTTP/1.1).
//
// It owns nothing but connections and SQL streams; accounts, credentials and data are the node's. It runs as a service:
// a graceful shutdown lets requests in flight finish and then rolls back what streams had open.

import Hummingbird
import HummingbirdCore
import HummingbirdHTTP2
import HummingbirdTLS
package import Logging
import NIOCore
import NIOSSL
package import Node
import ServiceLifecycle
import ShardStore
import Threads

package struct APIServer: Service {
  /// Ports that are bound, also where the configuration says 0.
  package struct Ports: Sendable, Equatable {
    package var api: Int
    package var s3: Int
  }

  private let node: NodeService
  private let logger: Logger
  private let tls: TLSConfiguration
  private let hrana: HranaService
  private let probes: Probes
  private let deadlines = Deadlines()
  private let requests: AccountRequests
  private let clock: any StoreClock
  private let onListening: @Sendable (Ports) async -> Void

  /// Reads the certificate that the configuration names. `onListening` runs once, when both ports take connections.
  package init(
    service node: NodeService, logger: Logger, onListening: @escaping @Sendable (Ports) async -> Void = { _ in }
  ) throws {
    self.node = node
    self.logger = logger
    self.onListening = onListening
    tls = try Self.tls(node, stoppingIn: node.configuration.timers.shutdownTimeout)
    clock = SystemClock()
    let access = Access(node: node)
    let timers = node.configuration.timers
    let registry = StreamRegistry(
      limits: .init(
        sessionsPerAccount: node.configuration.limits.sqlStreamsCount,
        sessionIdle: timers.transactionIdle.wholeNanoseconds, sessionLife: timers.transactionTimeout.wholeNanoseconds),
      clock: clock)
    hrana = HranaService(node: node, access: access, registry: registry, clock: clock, deadlines: deadlines)
    requests = AccountRequests(node: node, access: access, registry: registry, clock: clock)
    probes = Probes(node: node, access: access)
  }

  /// Serves until a graceful shutdown or the task's cancellation.
  package func run() async throws {
    let bound = BoundPorts(onListening)
    let responder = router()
    let api = application(responder, at: node.configuration.listen.api, server: try apiServer()) { channel in
      await bound.note(api: channel.localAddress?.port, s3: nil)
    }
    let objects = S3Service(node: node, clock: clock, deadlines: deadlines, figures: RequestFigures(node.metrics))
    let s3 = application(objects, at: node.configuration.listen.s3, server: try s3Server()) { channel in
      await bound.note(api: nil, s3: channel.localAddress?.port)
    }
    let forwarded = ForwardedServing(node: node, api: responder, s3: objects, logger: logger)
    // They stop in reverse order: streams end when no request can use them any more.
    let services: [any Service] = [deadlines, StreamExpiry(hrana: hrana), api, s3, forwarded, requests]
    let group = ServiceGroup(services: services, logger: logger)
    let isStopping = probes.isStopping
    try await withGracefulShutdownHandler {
      try await group.run()
    } onGracefulShutdown: {
      isStopping.with { $0 = true }
    }
  }

  private func router() -> RouterResponder<APIContext> {
    let router = Router(context: APIContext.self)
    router.add(middleware: RequestAccounting(figures: RequestFigures(node.metrics), clock: clock) { node.isLeaving })
    probes.addRoutes(to: router)
    let anywhere = ShardRouter(node: node)
    hrana.addRoutes(
      to: router.group().add(middleware: ShardForwarding(router: anywhere, access: probes.access, surface: .sql)))
    let admin = router.group("v1").add(
      middleware: ReplayCache(clock: clock, requestBytesMax: node.configuration.limits.adminRequestBytes))
    AdminService(node: node, access: probes.access, anywhere: anywhere).addRoutes(to: admin)
    return router.buildResponder()
  }

  private func application<Responder: HTTPResponder>(
    _ responder: Responder, at address: ListenAddress, server: HTTPServerBuilder,
    onRunning: @escaping @Sendable (any Channel) async -> Void
  ) -> Application<Responder> where Responder.Context == APIContext {
    Application(
      responder: responder, server: server,
      configuration: ApplicationConfiguration(
        address: .hostname(address.host, port: address.port), serverName: "komora", reuseAddress: true,
        availableConnectionsDelegate: MaximumAvailableConnections(node.configuration.limits.connectionsCount)),
      onServerRunning: onRunning, logger: logger)
  }

  // MARK: channels

  private func streamConfiguration(
    _ handlers: @escaping @Sendable () -> [any RemovableChannelHandler] = { [ContinueHandler()] }
  ) -> HTTP1Channel.Configuration {
    HTTP1Channel.Configuration(
      additionalChannelHandlers: handlers(),
      idleTimeout: .nanoseconds(Int64(node.configuration.timers.uploadIdle.wholeNanoseconds)),
      httpDecoderConfiguration: .init(
        maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 32 << 10, maxHeaderFieldCount: 200))
  }

  private func apiServer() throws -> HTTPServerBuilder {
    let (tls, configuration) = (tls, HTTP2ChannelConfiguration(streamConfiguration: streamConfiguration()))
    return HTTPServerBuilder {
      OnLoopChannel(try HTTP2UpgradeChannel(tlsConfiguration: tls, configuration: configuration, responder: $0))
    }
  }

  private func s3Server() throws -> HTTPServerBuilder {
    let (tls, configuration) = (tls, streamConfiguration { [ContinueHandler(), SmallBuffers()] })
    return HTTPServerBuilder {
      OnLoopChannel(try TLSChannel(HTTP1Channel(responder: $0, configuration: configuration), tlsConfiguration: tls))
    }
  }

  /// A client has a twentieth of `time` to answer the end of a connection; an idle one would hold a stop up for 5 s.
  private static func tls(_ node: NodeService, stoppingIn time: Duration) throws -> TLSConfiguration {
    let pair = try node.apiCertificate()
    do {
      var tls = TLSConfiguration.makeServerConfiguration(
        certificateChain: try NIOSSLCertificate.fromPEMBytes(pair.certificate).map { .certificate($0) },
        privateKey: .privateKey(try NIOSSLPrivateKey(bytes: pair.key, format: .pem)))
      tls.minimumTLSVersion = .tlsv12
      tls.shutdownTimeout = .nanoseconds(Int64(time.wholeNanoseconds / 20))
      return tls
    } catch {
      throw NodeError(
        .invalid, "the API's certificate or its key cannot be read as PEM: see tls.api_cert and tls.api_key")
    }
  }
}

/// Closes SQL streams that nobody continues, and all of them at the end.
private struct StreamExpiry: Service {
  let hrana: HranaService

  func run() async throws {
    await cancelWhenGracefulShutdown { await hrana.expireStreams() }
  }
}

/// Calls back once, when both ports are known.
private final class BoundPorts: Sendable {
  private let ports = Lock<(api: Int?, s3: Int?)>((nil, nil))
  private let onBoth: @Sendable (APIServer.Ports) async -> Void

  init(_ onBoth: @escaping @Sendable (APIServer.Ports) async -> Void) { self.onBoth = onBoth }

  func note(api: Int?, s3: Int?) async {
    let both = ports.with { ports -> APIServer.Ports? in
      ports = (api ?? ports.api, s3 ?? ports.s3)
      guard let api = ports.api, let s3 = ports.s3 else { return nil }
      return APIServer.Ports(api: api, s3: s3)
    }
    if let both { await onBoth(both) }
  }
}
