// The lines between this node's shards and those of others: beats on an urgent channel, records and what answers them on
// another one. Every message is to a node; each side opens its own lines and is answered over the other's.
//
// Nothing here is certain to arrive, and what is not yet sent when a line ends is gone: whoever sends hears `lineUp` and
// `lineDown`. What arrives is verified before it is handed on, large messages on a thread of their own, and while too much
// waits for that the sender is held up. On the fabric's loop, as an actor.

package import Base
package import Fabric
import Formats
import Threads
package import UVLoop

package actor ShardLinks<Message: Sendable> {
  package nonisolated let loop: UVLoop
  package nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  /// Called on the loop.
  package struct Handlers: Sendable {
    /// Reads a message and proves what it carries; may take a while, and may be called on the verifier's thread.
    package var read: @Sendable ([UInt8]) -> Message?
    package var beat: @Sendable ([UInt8], NodeID) -> Void
    package var message: @Sendable (Message, NodeID) -> Void
    /// Records can be sent there, or no longer.
    package var line: @Sendable (NodeID, _ isUp: Bool) -> Void

    package init(
      read: @escaping @Sendable ([UInt8]) -> Message?, beat: @escaping @Sendable ([UInt8], NodeID) -> Void,
      message: @escaping @Sendable (Message, NodeID) -> Void, line: @escaping @Sendable (NodeID, Bool) -> Void
    ) {
      (self.read, self.beat, self.message, self.line) = (read, beat, message, line)
    }
  }

  private typealias Records = ShardLine<ShardOutbox>
  private typealias Beats = ShardLine<BeatOutbox>

  private final class Inbound {
    let channel: FabricChannel
    var frames: MessageFrames
    /// With the verifier, in order.
    var verifying = 0
    var verifyingBytes = 0
    /// Credit that the peer gets back when less waits.
    var owed = 0

    init(_ channel: FabricChannel, bytesMax: Int) {
      self.channel = channel
      frames = MessageFrames(bytesMax: bytesMax)
    }
  }

  /// Beats that wait to leave: more means that the line stands still, and old beats help nobody.
  private let beatBytesMax = 4 << 20
  private let outboxBytesMax = 64 << 20
  private let messageBytesMax = 32 << 20
  /// Verified at once, on the loop.
  private let inlineBytesMax = 64 << 10
  private let verifyingBytesMax = 16 << 20
  private let retryPeriod = Duration.milliseconds(250)

  private let endpoint: FabricEndpoint
  private let addressOf: @Sendable (NodeID) -> SocketAddress?
  private let handlers: Handlers
  private let verifier = WorkPool(name: "verify", threads: 1)
  private var records: [NodeID: Records] = [:]
  private var beats: [NodeID: Beats] = [:]
  /// By channel, as a peer opened it.
  private var inbound: [ObjectIdentifier: Inbound] = [:]
  private var toPump: [Records] = []
  private var beatsToPump: [Beats] = []
  private var retry: UVTimer?
  private var isClosed = false
  package private(set) var dropped = 0
  package private(set) var unreadable = 0

  package init(
    endpoint: FabricEndpoint, on loop: UVLoop, addressOf: @escaping @Sendable (NodeID) -> SocketAddress?,
    _ handlers: Handlers
  ) {
    (self.endpoint, self.loop, self.addressOf, self.handlers) = (endpoint, loop, addressOf, handlers)
  }

  package func start() throws(UVError) {
    let timer = try UVTimer(on: loop) { _ in self.reopen() }
    timer.start(after: retryPeriod, every: retryPeriod)
    retry = timer
  }

  /// Nothing is sent or handed on any more. The verifier's thread is ended by `stopVerifier`.
  package func stop() {
    isClosed = true
    retry?.close()
    for line in records.values { line.close() }
    for line in beats.values { line.close() }
    (records, beats, inbound, toPump, beatsToPump) = ([:], [:], [:], [], [])
  }

  /// Blocks.
  package nonisolated func stopVerifier() { verifier.stop() }

  // MARK: sending

  /// Lines to `node` are opened, and opened again, from now on.
  package func want(_ node: NodeID) {
    open(recordsLine(node))
    open(beatsLine(node))
  }

  /// Leaves with the next `flush`, before all records.
  package func sendBeat(_ message: [UInt8], to node: NodeID) {
    guard !isClosed else { return }
    let line = beatsLine(node)
    guard line.source.waiting.count + message.count <= beatBytesMax else {
      dropped += 1
      return
    }
    if line.source.waiting.isEmpty { beatsToPump.append(line) }
    line.source.push(message)
  }

  /// Leaves with the next `flush`.
  package func send(_ letter: ShardLetter, to node: NodeID) {
    guard !isClosed else { return }
    let line = recordsLine(node)
    let wasEmpty = line.source.isEmpty
    guard line.source.push(letter) else {
      dropped += 1
      return
    }
    if wasEmpty { toPump.append(line) }
  }

  package func flush() {
    let beating = beatsToPump
    beatsToPump.removeAll(keepingCapacity: true)
    for line in beating { if line.channel == nil { open(line) } else { line.pump(endpoint) } }
    guard !toPump.isEmpty else { return }
    let lines = toPump
    toPump.removeAll(keepingCapacity: true)
    for line in lines { if line.channel == nil { open(line) } else { line.pump(endpoint) } }
  }

  private func recordsLine(_ node: NodeID) -> Records {
    if let line = records[node] { return line }
    let line = Records(node, .shardRecords, .normal, ShardOutbox(bytesMax: outboxBytesMax))
    records[node] = line
    return line
  }

  private func beatsLine(_ node: NodeID) -> Beats {
    if let line = beats[node] { return line }
    let line = Beats(node, .shardBeats, .urgent, BeatOutbox())
    beats[node] = line
    return line
  }

  // MARK: lines

  /// The standing link to `node` is up.
  package func linkUp(_ node: NodeID) {
    if let line = records[node] { open(line) }
    if let line = beats[node] { open(line) }
  }

  private func reopen() {
    for line in beats.values { open(line) }
    for line in records.values { open(line) }
  }

  private func open<Source>(_ line: ShardLine<Source>) {
    guard !isClosed, case .closed = line.phase else { return }
    guard let address = addressOf(line.node) else { return line.source.clear() }
    line.phase = .opening
    let (node, method, priority) = (line.node, line.method.rawValue, line.priority)
    Task {
      do throws(FabricError) {
        let channel = try await endpoint.open(node, at: address, method: method, priority: priority)
        opened(line, channel)
      } catch {
        if case .opening = line.phase { line.close() }
      }
    }
  }

  private func opened<Source>(_ line: ShardLine<Source>, _ channel: FabricChannel) {
    guard !isClosed, case .opening = line.phase else { return }
    line.phase = .open(channel)
    line.opening += 1
    let (node, method, opening) = (line.node, line.method, line.opening)
    let pipe = FabricPipe(
      // Nobody sends this way: what comes all the same is held up by its missing credit.
      received: { _ in },
      sendable: { [weak self] in self?.assumeIsolated { $0.pump(node, method) } },
      ended: { [weak self] _ in self?.assumeIsolated { $0.ended(node, method, opening) } })
    if method == .shardRecords { handlers.line(node, true) }
    endpoint.assumeIsolated { $0.bind(channel, to: pipe) }
    line.pump(endpoint)
  }

  private func pump(_ node: NodeID, _ method: FabricMethod) {
    if method == .shardRecords { records[node]?.pump(endpoint) } else { beats[node]?.pump(endpoint) }
  }

  private func ended(_ node: NodeID, _ method: FabricMethod, _ opening: Int) {
    if method == .shardRecords {
      guard let line = records[node], line.opening == opening, line.channel != nil else { return }
      line.close()
      handlers.line(node, false)
    } else {
      guard let line = beats[node], line.opening == opening, line.channel != nil else { return }
      line.close()
    }
  }

  // MARK: receiving

  /// A peer has opened a line to here.
  package func serve(_ channel: FabricChannel) {
    guard !isClosed else { return }
    let isBeats = channel.method == FabricMethod.shardBeats.rawValue
    let line = Inbound(channel, bytesMax: isBeats ? OwnershipLimits.messageBytesMax : messageBytesMax)
    let key = ObjectIdentifier(channel)
    inbound[key] = line
    let pipe = FabricPipe(
      received: { [weak self] bytes in
        self?.assumeIsolated { isBeats ? $0.heardBeats(key, bytes) : $0.heard(key, bytes) }
      },
      sendable: {},
      ended: { [weak self] _ in self?.assumeIsolated { $0.drop(key) } })
    endpoint.assumeIsolated { $0.bind(channel, to: pipe) }
  }

  private func heardBeats(_ key: ObjectIdentifier, _ bytes: [UInt8]) {
    guard let line = inbound[key] else { return }
    giveBack(bytes.count, line.channel)
    line.frames.feed(bytes)
    do throws(NodeError) {
      while let message = try line.frames.next() { handlers.beat(message, line.channel.peer) }
    } catch {
      refuse(line)
    }
  }

  private func heard(_ key: ObjectIdentifier, _ bytes: [UInt8]) {
    guard let line = inbound[key] else { return }
    if line.verifyingBytes < verifyingBytesMax { giveBack(bytes.count, line.channel) } else { line.owed += bytes.count }
    line.frames.feed(bytes)
    do throws(NodeError) {
      while let message = try line.frames.next() { verify(message, line) }
    } catch {
      refuse(line)
    }
  }

  private func verify(_ bytes: [UInt8], _ line: Inbound) {
    let peer = line.channel.peer
    guard line.verifying > 0 || bytes.count > inlineBytesMax else {
      guard let message = handlers.read(bytes) else { return refuse(line) }
      return handlers.message(message, peer)
    }
    line.verifying += 1
    line.verifyingBytes += bytes.count
    let key = ObjectIdentifier(line.channel)
    let (loop, read) = (loop, handlers.read)
    verifier.run {
      let message = read(bytes)
      loop.submit { self.assumeIsolated { $0.verified(message, bytes.count, key) } }
    }
  }

  private func verified(_ message: Message?, _ bytes: Int, _ key: ObjectIdentifier) {
    guard let line = inbound[key] else { return }
    line.verifying -= 1
    line.verifyingBytes -= bytes
    if line.owed > 0, line.verifyingBytes < verifyingBytesMax {
      giveBack(line.owed, line.channel)
      line.owed = 0
    }
    guard let message else { return refuse(line) }
    handlers.message(message, line.channel.peer)
  }

  /// What cannot be read has lost its place in the stream; the peer opens another line.
  private func refuse(_ line: Inbound) {
    unreadable += 1
    let channel = line.channel
    drop(ObjectIdentifier(channel))
    endpoint.assumeIsolated { $0.cancel(channel) }
  }

  private func drop(_ key: ObjectIdentifier) { inbound[key] = nil }

  private func giveBack(_ count: Int, _ channel: FabricChannel) {
    endpoint.assumeIsolated { $0.took(count, from: channel) }
  }
}
