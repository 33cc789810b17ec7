// Asking: one link per peer, made on demand; one stream per question; every waiter is answered exactly once.

package import Base
package import Formats
import OpenSSL
package import UVLoop

extension FabricEndpoint {
  /// Asks the peer `id` at `address` and waits for its whole answer, at most until `deadline` from here. After
  /// `deadline`, `lost` and `cancelled` the peer may or may not have acted. Cancelling the task gives the stream up.
  package func ask(
    _ id: NodeID, at address: SocketAddress, method: UInt16, _ question: [UInt8],
    priority: FabricPriority = .normal, deadline: Duration
  ) async throws(FabricError) -> [UInt8] {
    guard question.count <= configuration.messageBytesMax else { throw FabricError(.tooLarge, "question too large") }
    let caller = try self.caller(id, address)
    let milliseconds = UInt32(clamping: max(deadline.nanoseconds / 1_000_000, 1))
    let opening = FabricOpening(method: method, priority: priority, deadlineMilliseconds: milliseconds)
    nextQuestion += 1
    let token = nextQuestion
    // A task that waits for a link has no stream yet whose deadline would end it.
    guard let alarm = try? UVTimer(on: loop, onFire: { _ in self.giveUp(token, caller, .deadline) }) else {
      throw FabricError(.closed, "the loop has stopped")
    }
    alarm.start(after: deadline)
    defer { alarm.close() }
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { waiter in
        let asked = FabricCaller.Question(opening: opening, waiter: waiter, outbox: FabricOutbox(question))
        if caller.isReady { begin(token, asked, caller) } else { caller.early.append((token, asked)) }
      }
    } onCancel: {
      Task { await self.giveUp(id, token) }
    }
    return try result.get()
  }

  private func caller(_ id: NodeID, _ address: SocketAddress) throws(FabricError) -> FabricCaller {
    guard !isClosed else { throw FabricError(.closed, "the fabric is closed") }
    if let present = callers[id] { return present }
    do {
      let link = try FabricLink(
        calling: address, on: loop, context: context, expecting: TLSExpectation(roles: [.node], id: id),
        limits: configuration.limits, handshakeTimeout: configuration.handshakeTimeout)
      let caller = FabricCaller(link)
      callers[id] = caller
      link.onEffect = { effect in self.saw(effect, caller) }
      link.onEnd = { end in
        self.note(end)
        if self.callers[id] === caller { self.callers[id] = nil }
        self.fail(caller, end)
      }
      return caller
    } catch {
      throw FabricError(.unreachable, "\(error)")
    }
  }

  private func begin(_ token: UInt64, _ question: FabricCaller.Question, _ caller: FabricCaller) {
    var question = question
    let first = question.outbox.first(room: configuration.limits.sendBufferBytesMax)
    let id = caller.link.nextStream
    caller.questions[id] = question
    caller.streams[token] = id
    caller.link.handle(.open(question.opening, first.bytes, ends: first.ends))
    if !first.ends { caller.link.handle(.wantRoom(id)) }
  }

  private func give(_ id: StreamID, _ caller: FabricCaller) {
    guard var question = caller.questions[id], !question.outbox.isGiven else { return }
    var room = caller.link.sendRoom(of: id)
    var pieces: [(bytes: [UInt8], ends: Bool)] = []
    while let piece = question.outbox.next(room: room) {
      room -= piece.bytes.count
      pieces.append(piece)
    }
    caller.questions[id] = question
    for piece in pieces { caller.link.handle(.send(id, piece.bytes, ends: piece.ends)) }
    if !question.outbox.isGiven { caller.link.handle(.wantRoom(id)) }
  }

  private func saw(_ effect: FabricEffect, _ caller: FabricCaller) {
    switch effect {
    case .ready:
      caller.isReady = true
      let early = caller.early
      caller.early = []
      for (token, question) in early { begin(token, question, caller) }
    case .data(let id, let bytes, let ends):
      caller.link.handle(.consumed(id, bytes.count))
      guard let count = caller.questions[id]?.answer.count else { return }
      guard count + bytes.count <= configuration.messageBytesMax else {
        caller.link.handle(.cancel(id))
        return finish(id, caller, .failure(FabricError(.tooLarge, "answer too large")))
      }
      caller.questions[id]!.answer += bytes
      if ends { finish(id, caller, .success(caller.questions[id]!.answer)) }
    case .sendable(let id): give(id, caller)
    case .refused(let id): finish(id, caller, .failure(FabricError(.tooLarge, "too many questions")))
    case .ended(let id, .cancelledByPeer): finish(id, caller, .failure(FabricError(.cancelled, "given up by the peer")))
    case .ended(let id, .deadline): finish(id, caller, .failure(FabricError(.deadline, "no answer in time")))
    // A stream of the peer's on a link that we called: nodes ask on links of their own.
    case .accepted(let id, _): caller.link.handle(.cancel(id))
    case .ended(_, .connectionClosed), .closed, .transmit: break
    }
  }

  private func finish(_ id: StreamID, _ caller: FabricCaller, _ result: Result<[UInt8], FabricError>) {
    guard let question = caller.questions.removeValue(forKey: id) else { return }
    if let token = caller.streams.first(where: { $0.value == id })?.key { caller.streams[token] = nil }
    question.waiter.resume(returning: result)
  }

  private func fail(_ caller: FabricCaller, _ end: FabricLink.End) {
    let code: FabricError.Code =
      switch end {
      // A server that does not like a certificate which is in order says goodbye before its hello.
      case .tls(.orderly): caller.isReady ? .unreachable : .refused
      case .tls(.truncated), .tls(.handshakeTimeout), .transport, .fabric: .unreachable
      case .tls: .refused
      }
    for (_, question) in caller.early {
      question.waiter.resume(returning: .failure(FabricError(code, "no link: \(end)")))
    }
    caller.early = []
    let lost = FabricError(.lost, "the link ended: \(end)")
    for id in caller.questions.keys.sorted() { finish(id, caller, .failure(lost)) }
  }

  private func giveUp(_ id: NodeID, _ token: UInt64) {
    if let caller = callers[id] { giveUp(token, caller, .cancelled) }
  }

  private func giveUp(_ token: UInt64, _ caller: FabricCaller, _ code: FabricError.Code) {
    let error = FabricError(code, code == .deadline ? "no answer in time" : "cancelled")
    if let place = caller.early.firstIndex(where: { $0.0 == token }) {
      caller.early.remove(at: place).1.waiter.resume(returning: .failure(error))
    } else if let id = caller.streams[token] {
      caller.link.handle(.cancel(id))
      finish(id, caller, .failure(error))
    }
  }
}
