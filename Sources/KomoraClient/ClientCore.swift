// The client's lines and what it has learned of the cluster, on its loop.

import Base
import Fabric
import Formats
import OpenSSL
import Threads
import UVLoop

actor ClientCore {
  enum Outcome: Sendable {
    case reply(AccountResponse)
    /// Certainly not on its way.
    case notSent(String)
    /// It was on its way when the line broke, or its time was over.
    case lost(String)
    /// The token does not hold.
    case refused(String)
    /// It cannot be encoded.
    case invalid(String)
    case closed
  }

  /// What askers look at from their own threads.
  private struct Routes {
    /// Who leads an account, as far as it was heard.
    var homes: [String: NodeID] = [:]
    /// Of lines that are open.
    var exchanges: [NodeID: ClientExchange] = [:]
  }

  nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  let endpoint: FabricEndpoint
  let token: String
  private let seeds: [SocketAddress]
  /// Every node that was seen.
  private var addresses: [NodeID: SocketAddress] = [:]
  private var lines: [NodeID: ClientLine] = [:]
  private nonisolated let routes = Lock(Routes())
  private var sweeper: UVTimer?
  /// What askers on the loop's own thread have put into these leaves at the end of the callback.
  var toSend: [(exchange: ClientExchange, node: NodeID)] = []
  private(set) var sender: UVTail?
  private var isClosed = false
  private var isSeeking = false

  init(_ configuration: KomoraConfiguration, _ seeds: [SocketAddress], on loop: UVLoop) throws(X509Error) {
    self.loop = loop
    self.seeds = seeds
    token = configuration.token
    guard let any = SocketAddress("127.0.0.1:0") else { preconditionFailure("an address") }
    // It neither listens nor gossips: the key of datagrams is nobody's.
    var fabric = FabricConfiguration(
      address: any,
      credentials: TLSCredentials(
        authorities: [configuration.authority], certificate: configuration.certificate,
        key: SecretBytes(configuration.key)),
      datagramKeys: DatagramKeys(primary: 1, SecretBytes(SystemRandom.bytes(32))))
    // A host that has vanished must not hold up the next one.
    fabric.handshakeTimeout = .seconds(2)
    endpoint = try FabricEndpoint(fabric, on: loop, service: ClientService())
  }

  /// Finds a node that takes the token.
  func start(until deadline: ContinuousClock.Instant) async throws(KomoraError) {
    do throws(UVError) {
      let sweeper = try UVTimer(on: loop) { _ in self.sweep() }
      sweeper.start(after: .milliseconds(20), every: .milliseconds(20))
      self.sweeper = sweeper
      sender = try UVTail(on: loop) { [weak self] in self?.assumeIsolated { $0.sendNow() } }
    } catch {
      throw KomoraError(.closed, "the loop has stopped")
    }
    var last = ""
    repeat {
      await seek()
      for id in addresses.keys.sorted() {
        guard let failure = await opened(line(to: id)) else { return }
        if failure.isRefusal { throw KomoraError(.unauthorized, failure.message) }
        last = failure.message
      }
      try? await Task.sleep(for: .milliseconds(50))
    } while ContinuousClock.now < deadline && !Task.isCancelled
    throw KomoraError(.unavailable, last.isEmpty ? "no node answers at the addresses that were given" : last)
  }

  func close() async {
    isClosed = true
    routes.with { $0 = Routes() }
    sweeper?.close()
    for line in lines.values { end(line, ClientFailure("the client was closed")) }
    lines = [:]
    await endpoint.close()
  }

  /// False for what is no address.
  func learn(_ account: String, _ node: NodeID, _ address: String) -> Bool {
    guard let address = SocketAddress(address) else { return false }
    addresses[node] = address
    routes.with { $0.homes[account] = node }
    return true
  }

  // MARK: asking

  /// At `node`, else where the account was last, else at any node.
  nonisolated func ask(
    _ request: AccountRequest, at node: NodeID?, until deadline: ContinuousClock.Instant
  ) async -> Outcome {
    let known = routes.with { routes in
      (node ?? routes.homes[request.account]).flatMap { id in routes.exchanges[id].map { (id, $0) } }
    }
    if let (id, exchange) = known { return await ask(request, over: exchange, to: id, until: deadline) }
    return await askAfterOpening(request, at: node, until: deadline)
  }

  private nonisolated func ask(
    _ request: AccountRequest, over exchange: ClientExchange, to id: NodeID, until deadline: ContinuousClock.Instant
  ) async -> Outcome {
    // For the reply of a node that keeps the same deadline to arrive.
    await exchange.ask(request, until: deadline + .seconds(1)) {
      if loop.isCurrent {
        assumeIsolated { $0.sendLater(exchange, to: id) }
      } else {
        loop.submit { self.assumeIsolated { $0.send(exchange, to: id) } }
      }
    }
  }

  private func askAfterOpening(
    _ request: AccountRequest, at node: NodeID?, until deadline: ContinuousClock.Instant
  ) async -> Outcome {
    guard !isClosed else { return .closed }
    guard let id = node ?? routes.with({ $0.homes[request.account] }) ?? anyNode() else {
      await seek()
      return .notSent("no node of the cluster answers")
    }
    let line = line(to: id)
    if let failure = await opened(line) {
      return failure.isRefusal ? .refused(failure.message) : .notSent(failure.message)
    }
    let outcome = await ask(request, over: line.exchange, to: id, until: deadline)
    // Who answers for an account leads it, or would have named the one that does.
    if case .reply(.done) = outcome, !line.isOver { routes.with { $0.homes[request.account] = id } }
    return outcome
  }

  /// One with an open line, if there is one.
  private func anyNode() -> NodeID? { lines.keys.sorted().first ?? addresses.keys.sorted().first }

  /// It has ended: its accounts may be anywhere now.
  func forget(_ line: ClientLine) {
    let id = line.node
    guard lines[id] === line else { return }
    lines[id] = nil
    addresses[id] = nil
    routes.with { routes in
      routes.exchanges[id] = nil
      routes.homes = routes.homes.filter { $0.value != id }
    }
  }

  func opened(_ id: NodeID, _ exchange: ClientExchange) { routes.with { $0.exchanges[id] = exchange } }

  /// The one that `exchange` belongs to, while it is the line to `id`.
  func line(_ id: NodeID, _ exchange: ClientExchange) -> ClientLine? {
    guard let line = lines[id], line.exchange === exchange else { return nil }
    return line
  }

  /// Asks the addresses that were given who is there; several who want that wait for the same answer.
  private func seek() async {
    guard !isSeeking else {
      try? await Task.sleep(for: .milliseconds(20))
      return
    }
    isSeeking = true
    defer { isSeeking = false }
    for seed in seeds where !isClosed {
      do throws(FabricError) { addresses[try await endpoint.identify(seed)] = seed } catch { continue }
    }
  }

  /// The line to a node, which may still be opening, or a new one.
  private func line(to id: NodeID) -> ClientLine {
    if let line = lines[id], !line.isOver { return line }
    let line = ClientLine(id)
    lines[id] = line
    if let address = addresses[id] {
      Task { await open(line, at: address) }
    } else {
      end(line, ClientFailure("the node is not known any more"))
    }
    return line
  }

  private func sweep() {
    let now = ContinuousClock.now
    for line in lines.values { line.exchange.expire(now) }
  }
}

struct ClientFailure: Error, Sendable {
  var message: String
  /// By the node, which did not take the token.
  var isRefusal = false

  init(_ message: String, isRefusal: Bool = false) {
    self.message = message
    self.isRefusal = isRefusal
  }
}

/// Nobody asks a client anything.
private struct ClientService: FabricService {
  func permits(_ method: UInt16, to peer: X509Identity) -> Bool { false }
  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? { nil }
  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) {}
}
