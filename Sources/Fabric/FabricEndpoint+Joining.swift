// Links of peers that have no certificate yet: one question of one method, few bytes, little time, few at once.

import Formats
import UVLoop

extension FabricEndpoint {
  func joining(_ server: FabricServer) {
    handshakeEnded(server)
    joins += 1
    joinsBySource[server.source, default: 0] += 1
    server.phase = .join
    let isFull = joins > configuration.joinsMax || joinsBySource[server.source]! > configuration.joinsPerSourceMax
    if isFull { return server.link.refuse(.joins) }
    // A peer that sends its question byte by byte is answered by nobody.
    server.alarm = try? UVTimer(on: loop) { _ in server.link.refuse(.joinTimeout) }
    server.alarm?.start(after: configuration.joinTimeout)
  }

  func sawJoin(_ effect: FabricEffect, _ server: FabricServer) {
    switch effect {
    case .accepted(let id, let opening):
      guard opening.method == configuration.joinMethod else { return server.link.refuse(.joinMethod) }
      guard !server.hasAsked else { return server.link.refuse(.joinAgain) }
      server.hasAsked = true
      server.questions[id] = FabricServer.Question(opening: opening)
    case .data(let id, let bytes, let ends):
      server.link.handle(.consumed(id, bytes.count))
      guard let count = server.questions[id]?.bytes.count else { return }
      guard count + bytes.count <= FabricJoiner.bytesMax else { return server.link.refuse(.joinTooLarge) }
      server.questions[id]!.bytes += bytes
      if ends { answerJoin(id, server) }
    case .sendable(let id): give(id, server)
    case .ended(let id, _), .refused(let id): server.drop(id)?.task?.cancel()
    case .ready, .closed, .transmit: break
    }
  }

  private func answerJoin(_ id: StreamID, _ server: FabricServer) {
    guard let question = server.questions[id]?.bytes else { return }
    let (service, address) = (service, server.link.peerAddress)
    run(id, server) { await service.join(question, from: address) }
  }
}
