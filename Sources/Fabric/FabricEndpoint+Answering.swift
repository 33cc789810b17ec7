// Answering: links that others called, their questions, and the service that answers them.

import Base
import Formats
import OpenSSL
import UVLoop

extension FabricEndpoint {
  func accept(_ connection: UVConnection) {
    guard !isClosed, servers.count < configuration.linksMax,
      let link = try? FabricLink(
        accepted: connection, context: context, expecting: TLSExpectation(roles: configuration.roles),
        limits: configuration.limits, handshakeTimeout: configuration.handshakeTimeout)
    else { return connection.close() }
    let server = FabricServer(link)
    let number = nextServer
    nextServer += 1
    servers[number] = server
    link.onEffect = { effect in self.saw(effect, server) }
    link.onEnd = { end in
      self.note(end)
      self.servers[number] = nil
      for question in server.questions.values { question.task?.cancel() }
      server.questions = [:]
    }
  }

  private func saw(_ effect: FabricEffect, _ server: FabricServer) {
    switch effect {
    case .accepted(let id, let opening):
      guard let peer = server.link.peer, service.permits(opening.method, to: peer) else {
        return server.link.handle(.cancel(id))
      }
      server.questions[id] = FabricServer.Question(opening: opening)
    case .data(let id, let bytes, let ends):
      server.link.handle(.consumed(id, bytes.count))
      guard let count = server.questions[id]?.bytes.count else { return }
      guard count + bytes.count <= configuration.messageBytesMax else {
        server.questions[id] = nil
        return server.link.handle(.cancel(id))
      }
      server.questions[id]!.bytes += bytes
      if ends { answer(id, server) }
    case .sendable(let id): give(id, server)
    case .ended(let id, _), .refused(let id): server.questions.removeValue(forKey: id)?.task?.cancel()
    case .ready, .closed, .transmit: break
    }
  }

  private func answer(_ id: StreamID, _ server: FabricServer) {
    guard let question = server.questions[id], let peer = server.link.peer else { return }
    let (service, limit) = (service, configuration.messageBytesMax)
    server.questions[id]!.bytes = []
    // The task ends with its stream: the peer's cancelling, its deadline and the link's end cancel it.
    server.questions[id]!.task = Task {
      let answer = await service.answer(question.opening.method, question.bytes, from: peer)
      guard server.questions[id] != nil else { return }
      guard let answer, answer.count <= limit else {
        server.questions[id] = nil
        return server.link.handle(.cancel(id))
      }
      if answer.isEmpty {
        server.questions[id] = nil
        return server.link.handle(.send(id, [], ends: true))
      }
      server.questions[id]!.outbox = FabricOutbox(answer)
      give(id, server)
    }
  }

  private func give(_ id: StreamID, _ server: FabricServer) {
    guard var outbox = server.questions[id]?.outbox else { return }
    var room = server.link.sendRoom(of: id)
    var pieces: [(bytes: [UInt8], ends: Bool)] = []
    while let piece = outbox.next(room: room) {
      room -= piece.bytes.count
      pieces.append(piece)
    }
    if outbox.isGiven { server.questions[id] = nil } else { server.questions[id]!.outbox = outbox }
    for piece in pieces { server.link.handle(.send(id, piece.bytes, ends: piece.ends)) }
    if !outbox.isGiven { server.link.handle(.wantRoom(id)) }
  }
}
