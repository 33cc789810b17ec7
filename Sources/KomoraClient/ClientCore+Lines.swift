// Lines to nodes: opened when one is wanted, with a hello that brings the token. Requests go out together while an
// earlier batch is on its way; replies come in any order. A line is bound to the loop: what arrives is worked off in the
// turn in which it came.

import Base
import Fabric
import Formats
import UVLoop

extension ClientCore {
  /// Waits until it is open; says why it is not.
  func opened(_ line: ClientLine) async -> ClientFailure? {
    switch line.phase {
    case .open: return nil
    case .over(let failure): return failure
    case .opening: return await withCheckedContinuation { line.arrivals.append($0) }
    }
  }

  func open(_ line: ClientLine, at address: SocketAddress) async {
    do {
      line.batch = try AccountQuestion.hello(token: token).encode()
      let channel = try await endpoint.open(
        line.node, at: address, method: AccountRequestLimits.method, priority: .normal)
      guard !line.isOver else { return }
      line.channel = channel
      bind(line, channel)
      pump(line)
    } catch let error as FabricError {
      end(line, ClientFailure(error.message))
    } catch {
      end(line, ClientFailure("the token cannot be sent: \(error)", isRefusal: true))
    }
  }

  private func bind(_ line: ClientLine, _ channel: FabricChannel) {
    // The pipe is the channel's: it must not keep it.
    let (node, exchange) = (line.node, line.exchange)
    let pipe = FabricPipe(
      received: { [weak self] bytes in
        self?.assumeIsolated { core in core.line(node, exchange).map { core.received(bytes, $0) } }
      },
      sendable: { [weak self] in
        self?.assumeIsolated { core in core.line(node, exchange).map { core.pump($0) } }
      },
      ended: { [weak self] error in
        self?.assumeIsolated { core in
          core.line(node, exchange).map {
            core.end($0, ClientFailure(error.map { "the line broke: \($0.message)" } ?? "the node ended the line"))
          }
        }
      })
    endpoint.assumeIsolated { $0.bind(channel, to: pipe) }
  }

  // MARK: receiving

  private func received(_ bytes: [UInt8], _ line: ClientLine) {
    guard let channel = line.channel else { return }
    endpoint.assumeIsolated { $0.took(bytes.count, from: channel) }
    line.messages.feed(bytes)
    do throws(FormatError) {
      while !line.isOver, let message = try line.messages.next() {
        try take(try AccountResponse(decoding: message), line)
      }
    } catch {
      end(line, ClientFailure("the line broke: \(error)"))
      endpoint.assumeIsolated { $0.cancel(channel) }
    }
  }

  private func take(_ reply: AccountResponse, _ line: ClientLine) throws(FormatError) {
    switch (line.phase, reply) {
    case (.opening, .welcome):
      line.phase = .open
      line.exchange.open()
      opened(line.node, line.exchange)
      let arrivals = line.arrivals
      line.arrivals = []
      for arrival in arrivals { arrival.resume(returning: nil) }
    case (.opening, .failed(_, let failure)): end(line, ClientFailure(failure.message, isRefusal: true))
    case (.open, .done(let id, _, _)), (.open, .failed(let id, _)), (.open, .elsewhere(let id, _, _)):
      line.exchange.answer(id, reply)
    case (.over, _): break
    default: throw FormatError(.damaged, "a reply out of order")
    }
  }

  /// Everybody who waits hears it. What waits for its reply may have been applied.
  func end(_ line: ClientLine, _ failure: ClientFailure) {
    guard !line.isOver else { return }
    line.phase = .over(failure)
    forget(line)
    let arrivals = line.arrivals
    (line.channel, line.arrivals, line.batch, line.given) = (nil, [], [], 0)
    for arrival in arrivals { arrival.resume(returning: failure) }
    line.exchange.close(.lost(failure.message))
  }

  // MARK: sending

  /// Gives the link what it takes; it asks again when it has room.
  private func pump(_ line: ClientLine) {
    guard !line.isPumping, let channel = line.channel else { return }
    line.isPumping = true
    defer { line.isPumping = false }
    while true {
      if line.given == line.batch.count {
        (line.batch, line.given) = (line.exchange.takeOutbox(), 0)
        guard !line.batch.isEmpty else { return }
      }
      let (bytes, start) = (line.batch, line.given)
      let taken = endpoint.assumeIsolated { $0.give(bytes, from: start, over: channel) }
      guard taken > 0, !line.isOver else { return }
      line.given += taken
    }
  }

  /// An asker on this thread has; others will before the callback ends.
  func sendLater(_ exchange: ClientExchange, to node: NodeID) {
    toSend.append((exchange, node))
    sender?.schedule()
  }

  func sendNow() {
    let all = toSend
    toSend.removeAll(keepingCapacity: true)
    for (exchange, node) in all { send(exchange, to: node) }
  }

  /// An asker has put something into `exchange`.
  func send(_ exchange: ClientExchange, to node: NodeID) {
    if let line = line(node, exchange) { pump(line) }
  }
}
