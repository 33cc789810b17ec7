// A node's place in the fabric: one port for streams and datagrams, links to peers, questions and answers.
//
// It is an actor on the loop: links, sockets and tables are its state, callbacks of the loop run inside it. A link to a
// peer is made when the first question wants it, or stands because the node said `keep`, and is used by all; whoever
// waits for one that cannot be made is told. Answers are whole messages up to a limit. It knows no meaning: methods are
// numbers, the node above serves them, and `permits` decides which role may ask what before a byte of the question is
// kept.

package import Base
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
  /// By the peer that was called: the link that the next question uses.
  var callers: [NodeID: FabricCaller] = [:]
  /// Links that take no more questions and finish those they have.
  var retired: [ObjectIdentifier: FabricCaller] = [:]
  var standings: [NodeID: FabricStanding] = [:]
  /// Links that others called, by a number of this endpoint.
  var servers: [Int: FabricServer] = [:]
  /// By the number of their handle.
  var channels: [UInt64: FabricChannelState] = [:]
  var ledgers: [NodeID: FabricLedger] = [:]
  var accepts: AcceptRates
  var nextServer = 0
  var nextQuestion: UInt64 = 0
  var handshakes = 0
  var joins = 0
  /// The same by source, as long as there are any.
  var handshakesBySource: [[UInt8]: Int] = [:]
  var joinsBySource: [[UInt8]: Int] = [:]
  var joinsAnswered = 0
  /// Members that were removed.
  var removed: Set<NodeID> = []
  var random: SeededGenerator
  var sweeper: UVTimer?
  var renewal: UVTimer?
  var bulkBytesPerSecond: Int?
  /// Ends of links by their reason's name.
  var ends: [String: Int] = [:]
  var refusals: [FabricRefusal: Int] = [:]

  package init(_ configuration: FabricConfiguration, on loop: UVLoop, service: any FabricService) throws(X509Error) {
    self.loop = loop
    self.configuration = configuration
    self.service = service
    let context = try TLSContext(configuration.credentials, servesJoins: configuration.joinMethod != nil)
    self.context = context
    sealer = DatagramSealer(
      sender: context.identity.id, keys: configuration.datagramKeys, notBefore: configuration.notBefore)
    opener = DatagramOpener(
      own: context.identity.id, keys: configuration.datagramKeys,
      start: max(UVLoop.unixMicroseconds(), configuration.notBefore))
    accepts = AcceptRates(rate: configuration.acceptsPerSecond, burst: configuration.acceptBurst)
    bulkBytesPerSecond = configuration.bulkBytesPerSecond
    var seed = SystemRandom()
    random = SeededGenerator(seed: seed.next())
  }

  /// Binds both sockets to one port and gives the address. Port 0 draws one that is free for both.
  package func start() throws(UVError) -> SocketAddress {
    for attempt in 1... {
      let listener = try UVListener(on: loop, bind: configuration.address) { connection in self.accept(connection) }
      let address = listener.address ?? configuration.address
      do throws(UVError) {
        socket = try UVDatagramSocket(on: loop, bind: address) { bytes, sender in self.heard(bytes, sender) }
        self.listener = listener
        try startSweeper()
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
    sweeper?.close()
    renewal?.close()
    for id in standings.keys.sorted() { stopStanding(id) }
    for caller in [FabricCaller](callers.values) + retired.values { caller.link.close() }
    for server in servers.values { server.link.close() }
  }

  /// A renewed certificate or another set of authorities: new links use it, old ones go on until they end; see
  /// `renewLinks`.
  package func use(_ credentials: TLSCredentials) throws(X509Error) {
    context = try TLSContext(credentials, servesJoins: configuration.joinMethod != nil)
  }

  package func use(_ keys: DatagramKeys) {
    sealer.use(keys)
    opener.use(keys)
  }

  /// An earlier run of this node may have sent, and heard, up to there.
  package func use(notBefore instant: UnixMicroseconds) {
    sealer.begin(after: instant)
    opener.refuse(before: instant)
  }

  /// The newest clock that a datagram of a peer carried; 0 before the first one.
  package var newestHeard: UnixMicroseconds { opener.newest }

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

  /// All members that were removed, each time the whole set: their links end, and neither a new link nor a datagram of
  /// theirs is heard.
  package func refuse(_ ids: Set<NodeID>) {
    removed = ids
    opener.refuse(ids)
    for id in standings.keys.sorted() where ids.contains(id) { stopStanding(id) }
    for caller in [FabricCaller](callers.values) + retired.values where ids.contains(caller.id) {
      caller.link.refuse(.removed)
    }
    for server in servers.values {
      if let id = server.link.peer?.id, ids.contains(id) { server.link.refuse(.removed) }
    }
  }

  /// Refused datagrams, ended links and refused questions by reason, for the node's metrics.
  package var counters: FabricCounters {
    var counters = FabricCounters(datagramsAccepted: opener.accepted, linksEnded: ends)
    for (reason, count) in opener.refused { counters.datagramsRefused[reason.rawValue] = count }
    for (reason, count) in refusals { counters.refused[reason.rawValue] = count }
    counters.datagramsDropped = socket?.dropped ?? 0
    counters.datagramsDamaged = socket?.damaged ?? 0
    counters.acceptsFailed = listener?.failed ?? 0
    counters.links = callers.count + retired.count + servers.count
    counters.handshakes = handshakes
    counters.joins = joins
    counters.joinsAnswered = joinsAnswered
    return counters
  }

  /// Questions that wait for a link.
  package var waitingQuestions: Int {
    callers.values.reduce(standings.values.reduce(0) { $0 + $1.waiting.count }) { $0 + $1.early.count }
  }

  func note(_ end: FabricLink.End) { ends[end.name, default: 0] += 1 }
  func note(_ refusal: FabricRefusal) { refusals[refusal, default: 0] += 1 }
}
