// Links that this side calls: made on demand, or standing and made again; renewed one by one; closed when idle.

package import Base
import Formats
import OpenSSL
package import UVLoop

extension FabricEndpoint {
  /// Keeps a link to `id` at `address` from now on, whatever ends it. Another address moves it: what is under way on the
  /// old link is finished there.
  package func keep(_ id: NodeID, at address: SocketAddress) {
    guard !isClosed, !removed.contains(id) else { return }
    guard let standing = standings[id] else {
      let backoff = FabricBackoff(least: configuration.reconnectMin, greatest: configuration.reconnectMax)
      let standing = FabricStanding(id, address, backoff)
      standings[id] = standing
      // A link that was made on demand becomes the standing one.
      if let caller = callers[id], caller.address == address, !caller.link.isEnding {
        if caller.isReady { up(standing) }
      } else if callers[id]?.isReady == true {
        up(standing)
        replace(standing)
      } else {
        connect(standing)
      }
      return
    }
    guard standing.address != address else { return }
    standing.address = address
    standing.backoff.reset()
    if callers[id]?.isReady == true { return replace(standing) }
    callers[id]?.link.close(.renewing)
    connect(standing)
  }

  /// The link to `id` is no longer kept; it closes when nothing is under way on it.
  package func forget(_ id: NodeID) {
    stopStanding(id)
    if let caller = callers[id], caller.isDrained { retire(caller, .idle) }
  }

  /// Makes every standing link anew, one by one over `spread`, each old one going on until its successor is up.
  package func renewLinks(spread: Duration = .seconds(10)) {
    var rest = standings.keys.sorted()
    renewal?.close()
    renewal = nil
    guard !isClosed, !rest.isEmpty else { return }
    let step = Duration.nanoseconds(max(spread.nanoseconds / Int64(rest.count), 0))
    let timer = try? UVTimer(on: loop) { _ in
      if let standing = self.standings[rest.removeFirst()], self.callers[standing.id]?.isReady == true {
        self.replace(standing)
      }
      if rest.isEmpty {
        self.renewal?.close()
        self.renewal = nil
      } else {
        self.renewal?.start(after: step)
      }
    }
    renewal = timer
    timer?.start(after: .zero)
  }

  /// Measured by the last ping of the link to `id`, or of a link that it has here; nil while there is none.
  package func roundTrip(to id: NodeID) -> Duration? {
    let own = callers[id]?.link.machine.roundTrip
    let other = own ?? servers.values.lazy.filter { $0.link.peer?.id == id }.compactMap(\.link.machine.roundTrip).first
    return other.map { .nanoseconds($0) }
  }

  /// Peers whose standing link is up.
  package var linksUp: Set<NodeID> { Set(standings.values.lazy.filter(\.isUp).map(\.id)) }

  /// The link for a question; nil when it is to wait for the standing one.
  func caller(_ id: NodeID, _ address: SocketAddress, waits: Bool) throws(FabricError) -> FabricCaller? {
    guard !isClosed else { throw FabricError(.closed, "the fabric is closed") }
    guard !removed.contains(id) else { throw FabricError(.refused, "the peer was removed", reason: "refused.removed") }
    if let present = callers[id], !present.link.isEnding { return present }
    if standings[id] != nil {
      guard !waits else { return nil }
      throw FabricError(.unreachable, "the link is down and will be tried again")
    }
    let caller = try call(id, address)
    if let old = callers.updateValue(caller, forKey: id) { retired[ObjectIdentifier(old)] = old }
    return caller
  }

  private func call(_ id: NodeID, _ address: SocketAddress) throws(FabricError) -> FabricCaller {
    do {
      let link = try FabricLink(
        calling: address, on: loop, context: context, expecting: TLSExpectation(roles: [.node], id: id),
        limits: configuration.limits, handshakeTimeout: configuration.handshakeTimeout)
      let caller = FabricCaller(id, address, link)
      link.onEffect = { effect in self.saw(effect, caller) }
      link.onEnd = { end in self.ended(caller, end) }
      return caller
    } catch {
      throw FabricError(.unreachable, "\(error)")
    }
  }

  func ready(_ caller: FabricCaller) {
    caller.isReady = true
    caller.since = FabricLink.now()
    caller.lastUse = caller.since
    if let standing = standings[caller.id] {
      if standing.next === caller { install(standing, caller) }
      if callers[caller.id] === caller { up(standing) }
    }
    let early = caller.early
    caller.early = []
    for question in early { begin(question, caller) }
    let arrivals = caller.arrivals
    caller.arrivals = []
    for waiter in arrivals { waiter.resume(returning: .success(())) }
  }

  private func ended(_ caller: FabricCaller, _ end: FabricLink.End) {
    note(end)
    retired[ObjectIdentifier(caller)] = nil
    let isCurrent = callers[caller.id] === caller
    if isCurrent { callers[caller.id] = nil }
    fail(caller, end)
    guard let standing = standings[caller.id], !isClosed else { return }
    let wasNext = standing.next === caller
    if wasNext { standing.next = nil }
    guard isCurrent else {
      // The present link goes on, and is still the wrong one.
      if wasNext, standing.isStale { tryLater(standing) }
      return
    }
    if caller.isReady { standing.backoff.held(for: FabricLink.now() - caller.since) }
    down(standing, FabricLoss(end, wasReady: caller.isReady))
    if let next = standing.next {
      // Its successor is on the way already.
      standing.next = nil
      take(standing, next)
    } else {
      tryLater(standing)
    }
  }

  /// Questions that have waited for the standing link go with `caller`.
  private func take(_ standing: FabricStanding, _ caller: FabricCaller) {
    callers[standing.id] = caller
    standing.isStale = false
    caller.early += standing.waiting
    standing.waiting = []
  }

  private func up(_ standing: FabricStanding) {
    guard !standing.isUp else { return }
    (standing.isUp, standing.reported) = (true, nil)
    service.linkUp(standing.id)
  }

  private func down(_ standing: FabricStanding, _ loss: FabricLoss) {
    guard standing.isUp || standing.reported != loss else { return }
    (standing.isUp, standing.reported) = (false, loss)
    service.linkDown(standing.id, reason: loss)
  }

  private func connect(_ standing: FabricStanding) {
    standing.timer?.stop()
    guard !isClosed, standings[standing.id] === standing else { return }
    if let present = callers[standing.id] {
      guard present.link.isEnding else {
        if standing.isStale, standing.next == nil { replace(standing) }
        return
      }
      retired[ObjectIdentifier(present)] = present
    }
    do throws(FabricError) {
      take(standing, try call(standing.id, standing.address))
    } catch {
      callers[standing.id] = nil
      down(standing, .unreachable)
      tryLater(standing)
    }
  }

  private func tryLater(_ standing: FabricStanding) {
    if standing.timer == nil { standing.timer = try? UVTimer(on: loop) { _ in self.connect(standing) } }
    standing.timer?.start(after: standing.backoff.next(using: &random))
  }

  /// The peer has called us, so it is there: no need to wait any longer.
  func sign(of id: NodeID) {
    guard let standing = standings[id], standing.timer?.isRunning == true else { return }
    standing.timer?.start(after: .zero)
  }

  /// Calls anew beside the present link.
  private func replace(_ standing: FabricStanding) {
    standing.isStale = true
    let former = standing.next
    standing.next = try? call(standing.id, standing.address)
    former?.link.close(.renewing)
    if standing.next == nil { tryLater(standing) }
  }

  private func install(_ standing: FabricStanding, _ caller: FabricCaller) {
    (standing.next, standing.isStale) = (nil, false)
    standing.timer?.stop()
    let old = callers.updateValue(caller, forKey: standing.id)
    if let old { retire(old, .renewing) }
  }

  /// Takes no more questions; closes when it has none left.
  func retire(_ caller: FabricCaller, _ goodbye: FabricGoodbye) {
    if callers[caller.id] === caller { callers[caller.id] = nil }
    retired[ObjectIdentifier(caller)] = caller
    if caller.isDrained { caller.link.close(goodbye) }
  }

  /// Something on the link is done.
  func released(_ caller: FabricCaller) {
    caller.lastUse = FabricLink.now()
    if retired[ObjectIdentifier(caller)] != nil, caller.isDrained { caller.link.close(.renewing) }
  }

  func stopStanding(_ id: NodeID) {
    guard let standing = standings.removeValue(forKey: id) else { return }
    standing.timer?.close()
    standing.next?.link.close(.renewing)
    for question in standing.waiting {
      question.waiter.resume(returning: .failure(FabricError(.unreachable, "the peer is no longer kept")))
    }
    standing.waiting = []
  }

  /// Closes what was made on demand and is of no use any more, and forgets peers that have nothing here.
  func startSweeper() throws(UVError) {
    let patience = configuration.idleTimeout.nanoseconds
    let sweeper = try UVTimer(on: loop) { _ in
      let now = FabricLink.now()
      for caller in [FabricCaller](self.callers.values)
      where self.standings[caller.id] == nil && caller.isReady && caller.isDrained && now - caller.lastUse >= patience {
        self.retire(caller, .idle)
      }
      // What was sent last on a retired link may have left after its channel was done with.
      for caller in [FabricCaller](self.retired.values) where caller.isDrained { caller.link.close(.renewing) }
      self.ledgers = self.ledgers.filter { $0.value.isWorthKeeping(at: now) }
    }
    let beat = Duration.nanoseconds(min(max(patience / 4, 10_000_000), 1_000_000_000))
    sweeper.start(after: beat, every: beat)
    self.sweeper = sweeper
  }
}
