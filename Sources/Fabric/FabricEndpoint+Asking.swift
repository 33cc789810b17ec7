// Asking: one stream per question; every waiter is answered exactly once.

package import Base
package import Formats
import OpenSSL
package import UVLoop

extension FabricEndpoint {
  /// Asks the peer `id` at `address` and waits for its whole answer, at most until `deadline` from here. After
  /// `deadline`, `lost` and `cancelled` the peer may or may not have acted. Cancelling the task gives the stream up.
  /// A peer that is kept is asked over its standing link wherever that leads; while it is down a question fails at once
  /// as `unreachable`, unless it `waits`.
  package func ask(
    _ id: NodeID, at address: SocketAddress, method: UInt16, _ question: [UInt8],
    priority: FabricPriority = .normal, deadline: Duration, waits: Bool = false
  ) async throws(FabricError) -> [UInt8] {
    guard question.count <= configuration.messageBytesMax else { throw FabricError(.tooLarge, "question too large") }
    let milliseconds = UInt32(clamping: max(deadline.nanoseconds / 1_000_000, 1))
    let opening = FabricOpening(method: method, priority: priority, deadlineMilliseconds: milliseconds)
    nextQuestion += 1
    let token = nextQuestion
    // A task that waits for a link has no stream yet whose deadline would end it.
    guard let alarm = try? UVTimer(on: loop, onFire: { _ in self.giveUp(id, token, .deadline) }) else {
      throw FabricError(.closed, "the loop has stopped")
    }
    defer { alarm.close() }
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { (waiter: FabricCaller.Waiter) in
        // Everything in one step: between two awaits a link may come or go, and the task may be cancelled.
        if Task.isCancelled { return waiter.resume(returning: .failure(FabricError(.cancelled, "cancelled"))) }
        alarm.start(after: deadline)
        ask(
          FabricCaller.Question(
            token: token, opening: opening, waiter: waiter, outbox: FabricOutbox(question), waits: waits), id, address)
      }
    } onCancel: {
      Task { await self.giveUp(id, token, .cancelled) }
    }
    return try result.get()
  }

  private func ask(_ question: FabricCaller.Question, _ id: NodeID, _ address: SocketAddress) {
    do throws(FabricError) {
      guard let caller = try caller(id, address, waits: question.waits) else {
        standings[id]!.waiting.append(question)
        return
      }
      if caller.isReady { begin(question, caller) } else { caller.early.append(question) }
    } catch {
      question.waiter.resume(returning: .failure(error))
    }
  }

  func begin(_ question: FabricCaller.Question, _ caller: FabricCaller) {
    var question = question
    let first = question.outbox.first(room: configuration.limits.sendBufferBytesMax)
    let id = caller.link.nextStream
    caller.questions[id] = question
    caller.streams[question.token] = id
    caller.lastUse = FabricLink.now()
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

  func saw(_ effect: FabricEffect, _ caller: FabricCaller) {
    if let id = effect.stream, let channel = caller.channels[id] {
      if saw(effect, channel) { settle(channel) }
      return
    }
    switch effect {
    case .ready: ready(caller)
    case .data(let id, let bytes, let ends): heard(id, bytes, ends, caller)
    case .sendable(let id): give(id, caller)
    case .refused(let id): finish(id, caller, .failure(FabricError(.tooLarge, "too many questions")))
    case .ended(let id, .cancelledByPeer): finish(id, caller, .failure(FabricError(.cancelled, "given up by the peer")))
    case .ended(let id, .refusedByPeer):
      finish(id, caller, .failure(FabricError(.refused, "the peer does not permit this question")))
    case .ended(let id, .deadline): finish(id, caller, .failure(FabricError(.deadline, "no answer in time")))
    // A stream of the peer's on a link that we called: nodes ask on links of their own.
    case .accepted(let id, _): caller.link.handle(.cancel(id))
    case .ended(_, .connectionClosed), .closed, .transmit: break
    }
  }

  private func heard(_ id: StreamID, _ bytes: [UInt8], _ ends: Bool, _ caller: FabricCaller) {
    caller.link.handle(.consumed(id, bytes.count))
    guard let count = caller.questions[id]?.answer.count else { return }
    guard count + bytes.count <= configuration.messageBytesMax else {
      caller.link.handle(.cancel(id))
      return finish(id, caller, .failure(FabricError(.tooLarge, "answer too large")))
    }
    caller.questions[id]!.answer += bytes
    if ends { finish(id, caller, .success(caller.questions[id]!.answer)) }
  }

  func finish(_ id: StreamID, _ caller: FabricCaller, _ result: Result<[UInt8], FabricError>) {
    guard let question = caller.questions.removeValue(forKey: id) else { return }
    caller.streams[question.token] = nil
    question.waiter.resume(returning: result)
    released(caller)
  }

  /// Everybody who waits on a link that ended is told; questions that wait for a standing one go on waiting.
  func fail(_ caller: FabricCaller, _ end: FabricLink.End) {
    let code: FabricError.Code = FabricLoss(end, wasReady: caller.isReady) == .refused ? .refused : .unreachable
    for question in caller.early {
      if question.waits, let standing = standings[caller.id] {
        wait(question, standing)
      } else {
        question.waiter.resume(returning: .failure(FabricError(code, "no link: \(end.name)", reason: end.name)))
      }
    }
    caller.early = []
    let lost = FabricError(.lost, "the link ended: \(end.name)", reason: end.name)
    for id in caller.questions.keys.sorted() { finish(id, caller, .failure(lost)) }
    for channel in caller.channels.values { fail(channel, lost) }
    caller.channels = [:]
    let arrivals = caller.arrivals
    caller.arrivals = []
    for waiter in arrivals {
      waiter.resume(returning: .failure(FabricError(code, "no link: \(end.name)", reason: end.name)))
    }
  }

  /// Its link ended before it was asked: another one may be on its way already, or is there.
  private func wait(_ question: FabricCaller.Question, _ standing: FabricStanding) {
    guard let present = callers[standing.id], !present.link.isEnding else { return standing.waiting.append(question) }
    if present.isReady { begin(question, present) } else { present.early.append(question) }
  }

  /// A question may be on the link, on one that finishes, or still waiting for one.
  private func giveUp(_ id: NodeID, _ token: UInt64, _ code: FabricError.Code) {
    let error = FabricError(code, code == .deadline ? "no answer in time" : "cancelled")
    if let standing = standings[id], let place = standing.waiting.firstIndex(where: { $0.token == token }) {
      return standing.waiting.remove(at: place).waiter.resume(returning: .failure(error))
    }
    for caller in [callers[id], standings[id]?.next].compactMap({ $0 }) + retired.values where caller.id == id {
      if let place = caller.early.firstIndex(where: { $0.token == token }) {
        return caller.early.remove(at: place).waiter.resume(returning: .failure(error))
      }
      if let stream = caller.streams[token] {
        caller.link.handle(.cancel(stream))
        return finish(stream, caller, .failure(error))
      }
    }
  }
}

extension FabricEffect {
  /// The stream that it is about.
  var stream: StreamID? {
    switch self {
    case .transmit, .ready, .closed: nil
    case .accepted(let id, _), .data(let id, _, _), .refused(let id), .sendable(let id), .ended(let id, _): id
    }
  }
}
