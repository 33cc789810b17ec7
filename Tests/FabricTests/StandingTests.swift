// Standing links: they come back, they move, they say why they ended, and they are renewed under questions.

import Base
import Fabric
import Formats
import Glibc
import OpenSSL
import Testing
import UVLoop

@Suite(.timeLimit(.minutes(1)))
struct StandingTests {
  static let a = NodeID(bits: 1)
  static let b = NodeID(bits: 2)

  static func code(
    _ endpoint: FabricEndpoint, _ address: SocketAddress, method: UInt16 = 1, waits: Bool = false
  ) async -> FabricError.Code? {
    do throws(FabricError) {
      _ = try await endpoint.ask(b, at: address, method: method, [1], deadline: .seconds(50), waits: waits)
      return nil
    } catch { return error.code }
  }

  @Test("a goodbye, a cut and nobody there are told apart, and the link comes back at the same address")
  func comesBack() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1))
    let first = try await EventEndpoint(loop, infrastructure.credentials(2))
    await a.endpoint.keep(Self.b, at: first.address)
    #expect(await a.log.next() == .up(Self.b))
    #expect(await a.endpoint.linksUp == [Self.b])
    #expect(await Self.code(a.endpoint, first.address) == nil)
    while await a.endpoint.roundTrip(to: Self.b) == nil { try await Task.sleep(for: .milliseconds(1)) }
    #expect(await a.endpoint.roundTrip(to: Self.b)! < .seconds(20))
    await first.endpoint.close()
    #expect(await a.log.next() == .down(Self.b, .closed))
    // Whoever asks while it is down is told at once, whoever wants to wait is answered when it is back.
    #expect(await a.log.next() == .down(Self.b, .unreachable))
    #expect(await Self.code(a.endpoint, first.address) == .unreachable)
    let (caller, address) = (a.endpoint, first.address)
    let waiting = Task { await Self.code(caller, address, waits: true) }
    let second = try await EventEndpoint(loop, infrastructure.credentials(2)) { $0.address = first.address }
    #expect(await waiting.value == nil)
    #expect(await a.log.next() == .up(Self.b))
    loop.stop()
    #expect(await second.endpoint.counters.links == 0)
    #expect(loop.metrics.openHandles == 0)
  }

  @Test("a process that is cut off without a goodbye is reported as lost, a foreign one as refused")
  func lost() async throws {
    let (loop, other) = (UVLoop(), UVLoop())
    let (ours, theirs) = (try Infrastructure(), try Infrastructure())
    let a = try await EventEndpoint(loop, ours.credentials(1))
    let b = try await EventEndpoint(other, ours.credentials(2))
    await a.endpoint.keep(Self.b, at: b.address)
    #expect(await a.log.next() == .up(Self.b))
    // A loop that stops closes its sockets without a word.
    other.stop()
    #expect(await a.log.next() == .down(Self.b, .lost))
    let foreign = try await EventEndpoint(loop, theirs.credentials(2)) { $0.address = b.address }
    await a.log.until { $0 == .down(Self.b, .refused) }
    await foreign.endpoint.close()
    loop.stop()
  }

  @Test("a peer that takes the connection and falls silent is given up after the missed pings")
  func silent() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1)) {
      $0.limits.pingInterval = 10_000_000
      $0.limits.pingsMissedMax = 3
    }
    // Its loop is held up, as a stopped process is.
    let stuck = UVLoop()
    let b = try await EventEndpoint(stuck, infrastructure.credentials(2))
    await a.endpoint.keep(Self.b, at: b.address)
    #expect(await a.log.next() == .up(Self.b))
    let gate = Gate()
    stuck.submit { gate.wait() }
    #expect(await a.log.next() == .down(Self.b, .silent))
    gate.open()
    await a.log.until { $0 == .up(Self.b) }
    loop.stop()
    stuck.stop()
  }

  @Test("a kept peer may move, and a forgotten one is left alone")
  func moves() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1))
    let old = try await EventEndpoint(loop, infrastructure.credentials(2))
    let new = try await EventEndpoint(loop, infrastructure.credentials(2))
    await a.endpoint.keep(Self.b, at: old.address)
    #expect(await a.log.next() == .up(Self.b))
    // A question under way is finished where it was asked.
    let (caller, address) = (a.endpoint, old.address)
    let asked = Task { await Self.code(caller, address, method: 2) }
    #expect(await old.log.next() == .asked(2))
    await a.endpoint.keep(Self.b, at: new.address)
    try await new.until { $0.links == 1 }
    while await Self.code(a.endpoint, old.address) != nil {}
    #expect(await old.endpoint.counters.links == 1)
    asked.cancel()
    #expect(await asked.value == .cancelled)
    try await old.until { $0.links == 0 && $0.linksEnded == ["fabric.peerRenews": 1] }
    await a.endpoint.forget(Self.b)
    try await new.until { $0.links == 0 && $0.linksEnded == ["fabric.peerIdle": 1] }
    #expect(await a.endpoint.counters.links == 0)
    loop.stop()
  }

  @Test("a kept peer that moves to a place where nobody answers yet is called there until somebody does")
  func movesLater() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1))
    let old = try await EventEndpoint(loop, infrastructure.credentials(2))
    let place = try await EventEndpoint(loop, infrastructure.credentials(9))
    await place.endpoint.close()
    await a.endpoint.keep(Self.b, at: old.address)
    #expect(await a.log.next() == .up(Self.b))
    await a.endpoint.keep(Self.b, at: place.address)
    // The first call has failed before the peer is there; the old link serves meanwhile.
    try await a.until { $0.linksEnded.values.reduce(0, +) >= 1 }
    #expect(await Self.code(a.endpoint, old.address) == nil)
    let new = try await EventEndpoint(loop, infrastructure.credentials(2)) { $0.address = place.address }
    try await new.until { $0.links == 1 }
    try await old.until { $0.links == 0 }
    #expect(await Self.code(a.endpoint, new.address) == nil)
    loop.stop()
  }

  @Test("a question that waits for a peer goes with it to its new address")
  func waitsThroughMove() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1)) { $0.handshakeTimeout = .seconds(50) }
    let new = try await EventEndpoint(loop, infrastructure.credentials(2))
    // Somebody takes the connection and says nothing, so that the question waits on a link that is being made.
    let mute = LinkPeer(loop)
    let silent = try await mute.listenMute()
    await a.endpoint.keep(Self.b, at: silent)
    let caller = a.endpoint
    let asked = Task { await Self.code(caller, silent, waits: true) }
    // Two turns of the loop: the question is on the link before the peer moves.
    while await a.endpoint.waitingQuestions == 0 { await Task.yield() }
    await a.endpoint.keep(Self.b, at: new.address)
    #expect(await asked.value == nil)
    await mute.closeMute()
    loop.stop()
  }

  @Test("a link that was made on demand closes when it is idle, a standing one does not")
  func idle() async throws {
    let loop = UVLoop()
    let infrastructure = try Infrastructure()
    let a = try await EventEndpoint(loop, infrastructure.credentials(1)) { $0.idleTimeout = .milliseconds(30) }
    let b = try await EventEndpoint(loop, infrastructure.credentials(2))
    let c = try await EventEndpoint(loop, infrastructure.credentials(3))
    await a.endpoint.keep(NodeID(bits: 3), at: c.address)
    #expect(await Self.code(a.endpoint, b.address) == nil)
    try await b.until { $0.linksEnded == ["fabric.peerIdle": 1] }
    #expect(await Self.code(a.endpoint, b.address) == nil)
    try await b.until { $0.linksEnded == ["fabric.peerIdle": 2] }
    #expect(await c.endpoint.counters.linksEnded.isEmpty)
    loop.stop()
  }

  @Test("the waits grow to their greatest and start anew after a link that held")
  func backoff() {
    var random = SeededGenerator(seed: 3)
    var backoff = FabricBackoff(least: .milliseconds(100), greatest: .seconds(10))
    func next() -> Int64 { backoff.next(using: &random).nanoseconds / 1_000_000 }
    for whole: Int64 in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000] {
      #expect(((whole / 2)...whole).contains(next()))
    }
    backoff.held(for: 9_000_000_000)
    #expect(next() >= 5000)
    backoff.held(for: 10_000_000_000)
    #expect(next() <= 100)
    for _ in 0..<200 { #expect(next() <= 10_000) }
  }
}

/// Holds a thread up until it is opened.
final class Gate: @unchecked Sendable {
  // One semaphore, which is its own lock.
  private let semaphore: UnsafeMutablePointer<sem_t> = {
    let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
    sem_init(semaphore, 0, 0)
    return semaphore
  }()

  func wait() { while sem_wait(semaphore) != 0 {} }
  func open() { sem_post(semaphore) }
  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }
}
