// A service whose events a test waits for: links up and down, joins, datagrams, channels.

import Base
import Fabric
import OpenSSL
import UVLoop

struct EventService: FabricService {
  enum Event: Equatable, Sendable {
    case up(NodeID)
    case down(NodeID, FabricLoss)
    case heard(NodeID, [UInt8])
    case joined([UInt8])
    case asked(UInt16)
  }

  let events: AsyncStream<Event>.Continuation

  static func make() -> (EventService, EventLog) {
    let (stream, continuation) = AsyncStream.makeStream(of: Event.self)
    return (EventService(events: continuation), EventLog(stream))
  }

  func permits(_ method: UInt16, to peer: X509Identity) -> Bool { peer.role == .node || method == 1 }

  /// Method 1 echoes; 2 says when it is asked and never answers.
  func answer(_ method: UInt16, _ question: [UInt8], from peer: X509Identity) async -> [UInt8]? {
    if method == 1 { return question }
    events.yield(.asked(method))
    let forever = AsyncStream<Void> { _ in }
    for await _ in forever {}
    return nil
  }

  func heard(_ datagram: [UInt8], from sender: NodeID, at address: SocketAddress) {
    events.yield(.heard(sender, datagram))
  }

  /// An empty question gets no answer.
  func join(_ question: [UInt8], from address: SocketAddress?) async -> [UInt8]? {
    events.yield(.joined(question))
    return question.isEmpty ? nil : [UInt8](question.reversed())
  }

  func linkUp(_ id: NodeID) { events.yield(.up(id)) }
  func linkDown(_ id: NodeID, reason: FabricLoss) { events.yield(.down(id, reason)) }
}

/// What a service has said, in order.
final class EventLog {
  private var iterator: AsyncStream<EventService.Event>.Iterator

  init(_ stream: AsyncStream<EventService.Event>) { iterator = stream.makeAsyncIterator() }

  func next() async -> EventService.Event? { await iterator.next(isolation: #isolation) }

  /// Skips to the first that fits.
  func until(_ fits: (EventService.Event) -> Bool) async {
    while let event = await next() { if fits(event) { return } }
  }
}

/// An endpoint with the events of its service.
struct EventEndpoint {
  let endpoint: FabricEndpoint
  let address: SocketAddress
  let log: EventLog

  init(
    _ loop: UVLoop, _ credentials: TLSCredentials, change: (inout FabricConfiguration) -> Void = { _ in }
  ) async throws {
    let keys = DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: 1, count: 32)))
    var configuration = FabricConfiguration(address: .loopback(), credentials: credentials, datagramKeys: keys)
    configuration.reconnectMin = .milliseconds(5)
    configuration.reconnectMax = .milliseconds(50)
    change(&configuration)
    let (service, log) = EventService.make()
    endpoint = try FabricEndpoint(configuration, on: loop, service: service)
    self.log = log
    address = try await endpoint.start()
  }

  /// Waits until `condition` holds, looking again and again.
  func until(_ condition: (FabricCounters) -> Bool) async throws {
    while await !condition(endpoint.counters) { try await Task.sleep(for: .milliseconds(2)) }
  }
}
