// Channels: opened here or by a peer, bytes in order, credit given back as they are fetched.

package import Base
package import Formats
import OpenSSL
package import UVLoop

extension FabricEndpoint {
  /// Opens a channel to the peer `id`. Fails as a question does; there is no deadline but that of the handshake.
  /// `window`: how much the peer may send ahead of what is fetched here, at most 16 MiB; nil is the connection's. What
  /// this side may send ahead is the peer's word: `FabricService.window`.
  package func open(
    _ id: NodeID, at address: SocketAddress, method: UInt16, priority: FabricPriority = .bulk, window: Int? = nil
  ) async throws(FabricError) -> FabricChannel {
    try await open(id, at: address, method: method, priority: priority, window: window, endsWhenDropped: false)
  }

  func open(
    _ id: NodeID, at address: SocketAddress, method: UInt16, priority: FabricPriority, window: Int?,
    endsWhenDropped: Bool
  ) async throws(FabricError) -> FabricChannel {
    guard let caller = try self.caller(id, address, waits: false) else {
      throw FabricError(.unreachable, "the link is down")
    }
    if !caller.isReady {
      try await withCheckedContinuation { (waiter: FabricChannelState.Sender) in
        guard !caller.isReady, !caller.link.isEnding else { return waiter.resume(returning: .success(())) }
        caller.arrivals.append(waiter)
      }.get()
    }
    guard caller.link.isOpen else { throw FabricError(.unreachable, "the link ended") }
    let stream = caller.link.nextStream
    let state = FabricChannelState(.caller(caller), caller.link, stream)
    state.endsWhenDropped = endsWhenDropped
    caller.channels[stream] = state
    let channel = handle(state, id, method)
    caller.link.handle(.open(FabricOpening(method: method, priority: priority), [], ends: false))
    if let window { caller.link.handle(.widen(stream, to: window)) }
    return channel
  }

  private func handle(_ state: FabricChannelState, _ peer: NodeID, _ method: UInt16) -> FabricChannel {
    nextQuestion += 1
    channels[nextQuestion] = state
    return FabricChannel(self, token: nextQuestion, peer: peer, method: method)
  }

  /// What a stream hears that is over a limit. A channel hears that nobody has looked at it, so that what it was for may
  /// be sent again; the others are tried again whatever ended them.
  static func refusal(of id: StreamID, _ shape: FabricShape) -> FabricEvent {
    shape == .channel ? .refuse(id) : .cancel(id)
  }

  /// A peer has opened a channel.
  func serve(
    _ id: StreamID, _ opening: FabricOpening, _ server: FabricServer, _ peer: X509Identity, _ ledger: FabricLedger
  ) {
    let window = service.window(of: opening.method) ?? Int(configuration.limits.window)
    guard ledger.costBytes + window <= configuration.peerBytesMax else {
      note(.peerBytes)
      return server.link.handle(Self.refusal(of: id, service.shape(of: opening.method)))
    }
    let state = FabricChannelState(.server(server), server.link, id)
    ledger.heldBytes += window
    (state.ledger, state.held) = (ledger, window)
    server.channels[id] = state
    server.link.handle(.widen(id, to: window))
    let channel = handle(state, peer.id, opening.method)
    let (service, method) = (service, opening.method)
    // The task ends with its stream.
    let isBulk = service.shape(of: method) == .bulk
    state.task = Task {
      if isBulk {
        await serveBulk(channel, method, from: peer)
      } else {
        await service.serve(channel, method, from: peer)
      }
    }
  }

  /// True when the stream is gone.
  func saw(_ effect: FabricEffect, _ channel: FabricChannelState) -> Bool {
    switch effect {
    case .data(let id, let bytes, let ends):
      if ends { channel.peerEnded = true }
      if channel.isAbandoned {
        channel.link.handle(.consumed(id, bytes.count))
      } else {
        if !bytes.isEmpty { channel.inbox.append(bytes) }
        if channel.pipe == nil { deliver(channel) } else { pour(channel) }
      }
    case .sendable: if let pipe = channel.pipe { pipe.sendable() } else { pump(channel) }
    case .refused: fail(channel, FabricError(.tooLarge, "too many streams"))
    case .ended(_, .refusedByPeer): fail(channel, FabricError(.refused, "the peer does not take this channel"))
    case .ended(_, .cancelledByPeer): fail(channel, FabricError(.cancelled, "given up by the peer"))
    case .ended(_, .deadline): fail(channel, FabricError(.deadline, "out of time"))
    case .ended(_, .connectionClosed): fail(channel, FabricError(.lost, "the link ended"))
    case .accepted, .ready, .closed, .transmit: break
    }
    return channel.isDone
  }

  private func deliver(_ channel: FabricChannelState) {
    guard let receiver = channel.receiver, let result = next(channel) else { return }
    channel.receiver = nil
    receiver.resume(returning: result)
  }

  /// What arrived before a break is still handed out, in order.
  private func next(_ channel: FabricChannelState) -> Result<[UInt8]?, FabricError>? {
    if !channel.inbox.isEmpty {
      var bytes = channel.inbox[0]
      if channel.inbox.count > 1 {
        bytes.reserveCapacity(channel.inbox.reduce(0) { $0 + $1.count })
        for piece in channel.inbox.dropFirst() { bytes.append(contentsOf: piece) }
      }
      channel.inbox.removeAll(keepingCapacity: true)
      channel.link.handle(.consumed(channel.id, bytes.count))
      return .success(bytes)
    }
    if channel.peerEnded { return .success(nil) }
    return channel.failure.map { .failure($0) }
  }

  private func pump(_ channel: FabricChannelState) {
    while !channel.outbox.isEmpty {
      while let piece = channel.outbox[0].bytes.next(room: channel.link.sendRoom(of: channel.id)) {
        channel.link.handle(.send(channel.id, piece.bytes, ends: false))
      }
      guard channel.outbox[0].bytes.isGiven else { return channel.link.handle(.wantRoom(channel.id)) }
      channel.outbox.removeFirst().sender.resume(returning: .success(()))
    }
    if channel.isFinished, !channel.endGiven {
      channel.endGiven = true
      channel.link.handle(.send(channel.id, [], ends: true))
    }
  }

  func fail(_ channel: FabricChannelState, _ error: FabricError) {
    guard channel.failure == nil else { return }
    channel.failure = error
    let senders = channel.outbox.map(\.sender)
    channel.outbox = []
    for sender in senders { sender.resume(returning: .failure(error)) }
    deliver(channel)
    end(channel, error)
    channel.task?.cancel()
  }

  /// The link's part of a channel is over.
  func settle(_ channel: FabricChannelState) {
    guard channel.isDone else { return }
    switch channel.side {
    case .caller(let caller):
      if caller.channels.removeValue(forKey: channel.id) != nil { released(caller) }
    case .server(let server): server.channels[channel.id] = nil
    }
  }

  func send(_ bytes: [UInt8], over token: UInt64) async -> Result<Void, FabricError> {
    guard let channel = channels[token] else { return .failure(FabricError(.closed, "the channel is given up")) }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { sender in
        if let failure = channel.failure { return sender.resume(returning: .failure(failure)) }
        guard !channel.isFinished else {
          return sender.resume(returning: .failure(FabricError(.closed, "the channel is finished")))
        }
        guard !bytes.isEmpty else { return sender.resume(returning: .success(())) }
        channel.outbox.append((FabricOutbox(bytes), sender))
        if channel.outbox.count == 1 { pump(channel) }
      }
    } onCancel: {
      Task { await self.cancel(token) }
    }
  }

  func receive(from token: UInt64) async -> Result<[UInt8]?, FabricError> {
    guard let channel = channels[token] else { return .failure(FabricError(.closed, "the channel is given up")) }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { receiver in
        // Looked at in the same step that begins to wait: an await may let other work of the loop in between.
        if let result = next(channel) { return receiver.resume(returning: result) }
        precondition(channel.receiver == nil, "one task receives at a time")
        channel.receiver = receiver
      }
    } onCancel: {
      Task { await self.cancel(token) }
    }
  }

  func finish(_ token: UInt64) {
    guard let channel = channels[token], channel.failure == nil, !channel.isFinished else { return }
    channel.isFinished = true
    if channel.outbox.isEmpty { pump(channel) }
    settle(channel)
  }

  func cancel(_ token: UInt64) {
    guard let channel = channels[token], !channel.isDone else { return }
    channel.link.handle(.cancel(channel.id))
    fail(channel, FabricError(.cancelled, "cancelled"))
    settle(channel)
  }

  /// Nobody holds the channel any more.
  func abandon(_ token: UInt64) {
    guard let channel = channels[token] else { return }
    if !channel.isFinished || channel.endsWhenDropped { cancel(token) }
    channels[token] = nil
    channel.isAbandoned = true
    channel.ledger?.heldBytes -= channel.held
    for bytes in channel.inbox { channel.link.handle(.consumed(channel.id, bytes.count)) }
    channel.inbox = []
  }
}
