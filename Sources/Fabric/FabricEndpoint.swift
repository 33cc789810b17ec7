// A node's place in the fabric: one port for streams and datagrams, links to peers, questions and answers.
//
// It is an actor on the loop: links, sockets and tables are its state, callbacks of the loop run inside it. A link to a
// peer is made when the first question wants it and is used by all; whoever waits for one that cannot be made is told.
// Answers are whole messages up to a limit. It knows no meaning: methods are numbers, the node above serves them, and
// `permits` decides which role may ask what before a byte of the question is kept.

import Base
import Formats
package import OpenSSL
package import UVLoop

package actor FabricEndpoint {
  package nonisolated let loop: UVLoop
  package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  let configuration: FabricConfiguration
  let service: any FabricService
  var context: TLSContext
  var sealer: DatagramSealer
  var opener: DatagramOpener
  var listener: UVListener?
  var socket: UVDatagramSocket?
  var isClosed = false
  /// By the peer that was called.
  var callers: [NodeID: FabricCaller] = [:]
  /// Links that others called, by a number of this endpoint.
  var servers: [Int: FabricServer] = [:]
  var nextServer = 0
  var nextQuestion: UInt64 = 0
  /// Ends of links by their reason's name.
  var ends: [String: Int] = [:]

  package init(_ configuration: FabricConfiguration, on loop: UVLoop, service: any FabricService) throws(X509Error) {
    self.loop = loop
    self.configuration = configuration
    self.service = service
    let context = try TLSContext(configuration.credentials)
    self.context = context
    sealer = DatagramSealer(
      sender: context.identity.id, keys: configuration.datagramKeys, notBefore: configuration.notBefore)
    opener = DatagramOpener(
      own: context.identity.id, keys: configuration.datagramKeys, start: UVLoop.unixMicroseconds())
  }

  /// Binds both sockets to one port and gives the address. Port 0 draws one that is free for both.
  package func start() throws(UVError) -> SocketAddress {
    for attempt in 1... {
      let listener = try UVListener(on: loop, bind: configuration.address) { connection in self.accept(connection) }
      let address = listener.address ?? configuration.address
      do throws(UVError) {
        socket = try UVDatagramSocket(on: loop, bind: address) { bytes, sender in self.heard(bytes, sender) }
        self.listener = listener
        return address
      } catch {
        // The number was free for one kind only; another one will do.
        listener.close()
        guard configuration.address.port == 0, attempt < 16 else { throw error }
      }
    }
    throw UVError(.address, "bind \(configuration.address)", name: "EADDRINUSE")
  }

  /// Says goodbye to everyone; questions under way fail.
  package func close() {
    isClosed = true
    listener?.close()
    socket?.close()
    for caller in callers.values { caller.link.close() }
    for server in servers.values { server.link.close() }
  }

  /// A renewed certificate or another set of authorities: new links use it, old ones go on until they end.
  package func use(_ credentials: TLSCredentials) throws(X509Error) { context = try TLSContext(credentials) }

  package func use(_ keys: DatagramKeys) {
    sealer.use(keys)
    opener.use(keys)
  }

  /// Sends a sealed datagram; false when it is too long or the socket has no room.
  package func send(_ plain: [UInt8], to address: SocketAddress) -> Bool {
    guard let socket, let sealed = sealer.seal(plain, at: UVLoop.unixMicroseconds()) else { return false }
    let outcome = socket.send(sealed, to: address)
    return outcome == .sent || outcome == .queued
  }

  private func heard(_ bytes: RawSpan, _ sender: SocketAddress) {
    guard case .success(let heard) = opener.open(bytes, at: UVLoop.unixMicroseconds()) else { return }
    service.heard(heard.plain, from: heard.sender, at: sender)
  }

  /// Refused datagrams and ended links by reason, for the node's metrics.
  package var counters: FabricCounters {
    var counters = FabricCounters(datagramsAccepted: opener.accepted, linksEnded: ends)
    for (reason, count) in opener.refused { counters.datagramsRefused[reason.rawValue] = count }
    counters.datagramsDropped = socket?.dropped ?? 0
    counters.links = callers.count + servers.count
    return counters
  }

  func note(_ end: FabricLink.End) {
    let name =
      switch end {
      case .tls(let reason): "tls." + reason.rawValue
      case .fabric(let reason): "fabric." + reason.rawValue
      case .transport(let error): "transport." + (error?.name ?? "closed")
      }
    ends[name, default: 0] += 1
  }
}
