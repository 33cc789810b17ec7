// The membership machine on the fabric: the live port of SWIM.
//
// It lives on the loop, beside the endpoint, so a datagram that arrives is a step of the machine in the same turn, and
// the datagrams that follow from it leave in the same turn. Only two things take longer: an incarnation is made durable
// on a thread that may block, and a push-pull is a question to a peer.

import Base
import Disk
import Fabric
import Formats
import Membership
import OpenSSL
import Threads
import UVLoop

actor MembershipService {
  nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  struct Setup: Sendable {
    var node: NodeID
    var profile: GossipProfile
    var configuration: SwimConfiguration
    /// Where the incarnation is kept.
    var incarnationPath: String
    var questionTimeout: Duration
    /// What the control store knows about addresses.
    var nodeAt: @Sendable (GossipAddress) -> NodeID?
    var onNews: @Sendable (MembershipNews) -> Void
  }

  private let setup: Setup
  private let endpoint: FabricEndpoint
  private var driver: SwimDriver
  private var timer: UVTimer?
  private var wake: Instant?
  private var onLeft: CheckedContinuation<Void, Never>?
  private var isOver = false

  init(_ setup: Setup, endpoint: FabricEndpoint, on loop: UVLoop) {
    self.setup = setup
    self.endpoint = endpoint
    self.loop = loop
    var random = SystemRandom()
    driver = SwimDriver(
      SwimMachine(
        node: setup.node, profile: setup.profile, configuration: setup.configuration, seed: random.next()))
  }

  static var now: Instant { Instant(nanoseconds: Int64(clamping: UVLoop.bootNanoseconds())) }

  /// `stored` is the incarnation on the disk.
  func start(stored: Incarnation, seeds: [GossipAddress]) throws(UVError) {
    timer = try UVTimer(on: loop) { _ in self.step(.tick) }
    step(.start(stored: stored, seeds: seeds))
  }

  /// Says goodbye and waits until that is told; nothing is sent afterwards.
  func leave() async {
    guard !isOver else { return }
    await withCheckedContinuation { continuation in
      onLeft = continuation
      step(.leave)
    }
  }

  func stop() {
    isOver = true
    timer?.close()
    onLeft?.resume()
    onLeft = nil
  }

  // MARK: events

  func heard(_ plain: [UInt8], from sender: NodeID, at address: SocketAddress) {
    guard !isOver, let address = GossipAddress(address) else { return }
    var port = Port(service: self)
    driver.receive(plain, from: sender, at: address, now: Self.now, on: &port)
    port.finish()
  }

  /// The other half of a push-pull that a peer began; gives ours.
  func exchange(_ state: [UInt8], from sender: NodeID) -> [UInt8]? {
    guard !isOver else { return nil }
    let own = driver.fullState(at: Self.now)
    receive(state, from: sender)
    return own
  }

  func sample(_ sample: HealthSample) { step(.sample(sample)) }

  func hint(_ hint: StreamHint, about node: NodeID) { step(.hint(hint, about: node)) }

  // MARK: what it believes

  var members: [Member] { driver.machine.others }
  var incarnation: Incarnation { driver.machine.incarnation }
  var ownHealth: GossipHealth { driver.machine.ownHealth }
  var counters: SwimCounters { driver.machine.counters }
  var refusedBytes: Int { driver.refusedBytes.values.reduce(0, +) }

  // MARK: steps

  private func step(_ event: SwimEvent) {
    guard !isOver else { return }
    var port = Port(service: self)
    driver.step(event, at: Self.now, on: &port)
    port.finish()
  }

  private func receive(_ state: [UInt8], from sender: NodeID) {
    var port = Port(service: self)
    driver.receive(state: state, from: sender, now: Self.now, on: &port)
    port.finish()
  }

  /// What the machine asks for while it is stepped; what would step it again waits for `finish`.
  private struct Port: SwimPort {
    let service: MembershipService
    var wake: Instant?
    var persisting: Incarnation?
    var exchanges: [(NodeID?, GossipAddress)] = []
    var news: [MembershipNews] = []
    var hasLeft = false

    mutating func send(_ plaintext: [UInt8], to node: NodeID, at address: GossipAddress) {
      guard let address = SocketAddress(address) else { return }
      let endpoint = service.endpoint
      endpoint.assumeIsolated { endpoint in _ = endpoint.send(plaintext, to: address) }
    }
    mutating func pushPull(with node: NodeID?, at address: GossipAddress) { exchanges.append((node, address)) }
    mutating func persist(_ incarnation: Incarnation) { persisting = incarnation }
    mutating func setTimer(_ instant: Instant) { wake = instant }
    mutating func publish(_ news: MembershipNews) { self.news.append(news) }
    mutating func leaveFinished() { hasLeft = true }

    func finish() {
      service.assumeIsolated { service in service.finish(self) }
    }
  }

  private func finish(_ port: Port) {
    if let wake = port.wake { arm(wake) }
    if let incarnation = port.persisting { persist(incarnation) }
    for (node, address) in port.exchanges { pushPull(node, address) }
    for news in port.news { setup.onNews(news) }
    if port.hasLeft {
      isOver = true
      timer?.close()
      onLeft?.resume()
      onLeft = nil
    }
  }

  private func arm(_ instant: Instant) {
    let delay = (instant - Self.now).nanoseconds
    timer?.start(after: .nanoseconds(max(delay, 0)))
  }

  private func persist(_ incarnation: Incarnation) {
    let path = setup.incarnationPath
    Task {
      // A disk that refuses is tried again: without it the member may not speak, and says nothing.
      while !self.isOver {
        do {
          try await blocking { try RealDisk().replaceFile(path, Array("\(incarnation)\n".utf8)) }
          return self.step(.persisted(incarnation))
        } catch {
          try? await Task.sleep(for: .milliseconds(500))
        }
      }
    }
  }

  private func pushPull(_ node: NodeID?, _ address: GossipAddress) {
    guard let id = node ?? setup.nodeAt(address), id != setup.node, let place = SocketAddress(address),
      let state = driver.fullState(at: Self.now)
    else {
      // Later, as every answer is: the machine is never stepped while it steps.
      Task { self.step(.pushPullFailed(node: node, at: address, refused: false)) }
      return
    }
    let timeout = setup.questionTimeout
    Task {
      do throws(FabricError) {
        let answer = try await self.endpoint.ask(
          id, at: place, method: FabricMethod.pushPull.rawValue, state, priority: .urgent, deadline: timeout)
        if !self.isOver { self.receive(answer, from: id) }
      } catch {
        self.step(.pushPullFailed(node: node, at: address, refused: error.reason?.hasSuffix("ECONNREFUSED") == true))
      }
    }
  }
}

extension GossipAddress {
  init?(_ address: SocketAddress) { self.init(host: address.bytes, port: address.port) }
}

extension SocketAddress {
  init?(_ address: GossipAddress) { self.init(bytes: address.host, port: address.port) }
}
