// Answering: links that others called, their questions, and the service that answers them.

import Base
import Formats
import OpenSSL
import UVLoop

extension FabricEndpoint {
  func accept(_ connection: UVConnection) {
    // A connection that is gone already has no address.
    let source = AcceptRates.key(connection.peerAddress?.bytes ?? [])
    if let refusal = refusal(of: source) {
      note(refusal)
      return connection.close()
    }
    guard
      let link = try? FabricLink(
        accepted: connection, context: context, expecting: TLSExpectation(roles: configuration.roles),
        limits: configuration.limits, handshakeTimeout: configuration.handshakeTimeout)
    else { return connection.close() }
    let server = FabricServer(link, number: nextServer, source: source)
    nextServer += 1
    servers[server.number] = server
    handshakes += 1
    handshakesBySource[source, default: 0] += 1
    link.onEstablished = { identity in self.proved(identity, server) }
    link.onJoining = { self.joining(server) }
    link.onEffect = { effect in
      if server.phase == .join { self.sawJoin(effect, server) } else { self.saw(effect, server) }
    }
    link.onEnd = { end in self.ended(server, end) }
  }

  /// What a connection is refused for before a byte of it is read.
  private func refusal(of source: [UInt8]) -> FabricRefusal? {
    guard !isClosed else { return .links }
    guard !source.isEmpty, accepts.take(source, at: FabricLink.now()) else { return .acceptRate }
    if servers.count >= configuration.linksMax { return .links }
    let own = handshakesBySource[source, default: 0]
    let isFull = handshakes >= configuration.handshakesMax || own >= configuration.handshakesPerSourceMax
    return isFull ? .handshakes : nil
  }

  /// It is proved, joins, or has ended.
  func handshakeEnded(_ server: FabricServer) {
    handshakes -= 1
    Self.count(&handshakesBySource, server.source)
  }

  func joinEnded(_ server: FabricServer) {
    joins -= 1
    Self.count(&joinsBySource, server.source)
  }

  private static func count(_ counts: inout [[UInt8]: Int], _ source: [UInt8]) {
    counts[source, default: 0] -= 1
    if counts[source, default: 0] <= 0 { counts[source] = nil }
  }

  private func proved(_ identity: X509Identity, _ server: FabricServer) {
    handshakeEnded(server)
    server.phase = .member
    if removed.contains(identity.id) { return server.link.refuse(.removed) }
    let ledger = ledgers[identity.id] ?? newLedger()
    ledgers[identity.id] = ledger
    if ledger.servers.count >= configuration.peerLinksMax { return server.link.refuse(.peerLinks) }
    ledger.servers[server.number] = server
    server.ledger = ledger
    sign(of: identity.id)
  }

  private func newLedger() -> FabricLedger {
    let rate = configuration.peerQuestionsPerSecond
    return FabricLedger(questions: TokenBucket(rate: rate, burst: rate, at: FabricLink.now()))
  }

  private func ended(_ server: FabricServer, _ end: FabricLink.End) {
    note(end)
    servers[server.number] = nil
    switch server.phase {
    case .handshake: handshakeEnded(server)
    case .join: joinEnded(server)
    case .member: break
    }
    server.alarm?.close()
    for id in server.questions.keys.sorted() { server.drop(id)?.task?.cancel() }
    let lost = FabricError(.lost, "the link ended: \(end.name)", reason: end.name)
    for channel in server.channels.values { fail(channel, lost) }
    server.channels = [:]
    server.ledger?.servers[server.number] = nil
  }

  private func saw(_ effect: FabricEffect, _ server: FabricServer) {
    if let id = effect.stream, let channel = server.channels[id] {
      if saw(effect, channel) { settle(channel) }
      return
    }
    switch effect {
    case .accepted(let id, let opening): accept(id, opening, server)
    case .data(let id, let bytes, let ends): heard(id, bytes, ends, server)
    case .sendable(let id): give(id, server)
    case .ended(let id, _), .refused(let id): server.drop(id)?.task?.cancel()
    case .ready, .closed, .transmit: break
    }
  }

  private func accept(_ id: StreamID, _ opening: FabricOpening, _ server: FabricServer) {
    guard let peer = server.link.peer, let ledger = server.ledger else { return server.link.handle(.refuse(id)) }
    guard service.permits(opening.method, to: peer) else {
      note(.method)
      return server.link.handle(.refuse(id))
    }
    guard ledger.questions.take(at: FabricLink.now()) else {
      note(.questionRate)
      return server.link.handle(Self.refusal(of: id, service.shape(of: opening.method)))
    }
    if service.shape(of: opening.method) != .question { return serve(id, opening, server, peer, ledger) }
    server.questions[id] = FabricServer.Question(opening: opening)
    server.link.handle(.expire(id, within: configuration.questionTimeMax.nanoseconds))
  }

  private func heard(_ id: StreamID, _ bytes: [UInt8], _ ends: Bool, _ server: FabricServer) {
    server.link.handle(.consumed(id, bytes.count))
    guard let count = server.questions[id]?.bytes.count, let ledger = server.ledger else { return }
    let isTooMuch = ledger.costBytes + bytes.count > configuration.peerBytesMax
    guard count + bytes.count <= configuration.messageBytesMax, !isTooMuch else {
      if isTooMuch { note(.peerBytes) }
      server.drop(id)
      return server.link.handle(.cancel(id))
    }
    ledger.heldBytes += bytes.count
    server.questions[id]!.held += bytes.count
    server.questions[id]!.bytes += bytes
    if ends { answer(id, server) }
  }

  private func answer(_ id: StreamID, _ server: FabricServer) {
    guard let question = server.questions[id], let peer = server.link.peer else { return }
    let (service, method) = (service, question.opening.method)
    run(id, server) { await service.answer(method, question.bytes, from: peer) }
  }

  /// The task ends with its stream: the peer's cancelling, its deadline and the link's end cancel it.
  func run(_ id: StreamID, _ server: FabricServer, _ work: @escaping @Sendable () async -> [UInt8]?) {
    let limit = server.phase == .join ? FabricJoiner.bytesMax : configuration.messageBytesMax
    server.questions[id]!.bytes = []
    server.questions[id]!.task = Task {
      let answer = await work()
      guard server.questions[id] != nil else { return }
      guard let answer, answer.count <= limit else {
        server.drop(id)
        return server.link.handle(.cancel(id))
      }
      if server.phase == .join { joinsAnswered += 1 }
      if let ledger = server.ledger {
        guard ledger.costBytes + answer.count <= configuration.peerBytesMax else {
          note(.peerBytes)
          server.drop(id)
          return server.link.handle(.cancel(id))
        }
        ledger.heldBytes += answer.count
        server.questions[id]!.held += answer.count
      }
      if answer.isEmpty {
        server.drop(id)
        return server.link.handle(.send(id, [], ends: true))
      }
      server.questions[id]!.outbox = FabricOutbox(answer)
      give(id, server)
    }
  }

  func give(_ id: StreamID, _ server: FabricServer) {
    guard var outbox = server.questions[id]?.outbox else { return }
    var room = server.link.sendRoom(of: id)
    var pieces: [(bytes: [UInt8], ends: Bool)] = []
    while let piece = outbox.next(room: room) {
      room -= piece.bytes.count
      pieces.append(piece)
    }
    if outbox.isGiven { server.drop(id) } else { server.questions[id]!.outbox = outbox }
    for piece in pieces { server.link.handle(.send(id, piece.bytes, ends: piece.ends)) }
    if !outbox.isGiven { server.link.handle(.wantRoom(id)) }
  }
}
