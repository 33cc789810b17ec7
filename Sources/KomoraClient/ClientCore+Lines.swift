// Lines to nodes: opened when one is wanted, with a hello that brings the token. Requests go out together while an
// earlier batch is on its way; replies come in any order.

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

  func open(_ line: ClientLine, _ id: NodeID, _ address: SocketAddress) async {
    do {
      let channel = try await endpoint.open(id, at: address, method: AccountRequestLimits.method, priority: .normal)
      try await channel.send(try AccountQuestion.hello(token: token).encode())
      await read(line, channel)
    } catch let error as FabricError {
      end(line, ClientFailure(error.message))
    } catch {
      end(line, ClientFailure("the token cannot be sent: \(error)", isRefusal: true))
    }
  }

  private func read(_ line: ClientLine, _ channel: FabricChannel) async {
    var messages = AccountMessages()
    do {
      while let bytes = try await channel.receive() {
        messages.feed(bytes)
        while let message = try messages.next() { try take(try AccountResponse(decoding: message), line, channel) }
      }
      end(line, ClientFailure("the node ended the line"))
    } catch {
      await channel.cancel()
      end(line, ClientFailure("the line broke: \(error)"))
    }
  }

  private func take(_ reply: AccountResponse, _ line: ClientLine, _ channel: FabricChannel) throws(FormatError) {
    switch (line.phase, reply) {
    case (.opening, .welcome):
      line.phase = .open(channel)
      let arrivals = line.arrivals
      line.arrivals = []
      for arrival in arrivals { arrival.resume(returning: nil) }
    case (.opening, .failed(_, let failure)): end(line, ClientFailure(failure.message, isRefusal: true))
    case (.open, .done(let id, _, _)), (.open, .failed(let id, _)), (.open, .elsewhere(let id, _, _)):
      // One whose time was over has been answered already.
      line.waiting.removeValue(forKey: id)?.continuation.resume(returning: .reply(reply))
    case (.over, _): break
    default: throw FormatError(.damaged, "a reply out of order")
    }
  }

  /// Everybody who waits hears it. What waits for its reply may have been applied.
  func end(_ line: ClientLine, _ failure: ClientFailure) {
    guard !line.isOver else { return }
    line.phase = .over(failure)
    let (arrivals, waiting) = (line.arrivals, line.waiting)
    (line.arrivals, line.waiting, line.outbox) = ([], [:], [])
    for arrival in arrivals { arrival.resume(returning: failure) }
    for request in waiting.values { request.continuation.resume(returning: .lost(failure.message)) }
  }

  // MARK: asking

  func ask(_ request: AccountRequest, on line: ClientLine, until deadline: ContinuousClock.Instant) async -> Outcome {
    guard case .open = line.phase else { return .notSent("the line has ended") }
    var request = request
    request.id = line.drawID()
    let message: [UInt8]
    do throws(FormatError) { message = try AccountQuestion.request(request).encode() } catch {
      return .invalid("the request is too large: \(error)")
    }
    // For the reply of a node that keeps the same deadline to arrive.
    let limit = deadline + .seconds(1)
    return await withCheckedContinuation { continuation in
      line.waiting[request.id] = ClientLine.Waiting(deadline: limit, continuation: continuation)
      line.nextDeadline = min(line.nextDeadline ?? limit, limit)
      if line.outbox.isEmpty { line.outbox = message } else { line.outbox += message }
      send(line)
    }
  }

  private func send(_ line: ClientLine) {
    guard !line.isSending, case .open(let channel) = line.phase, !line.outbox.isEmpty else { return }
    line.isSending = true
    let batch = line.outbox
    line.outbox = []
    Task {
      do throws(FabricError) { try await channel.send(batch) } catch {
        return end(line, ClientFailure("the line broke: \(error.message)"))
      }
      line.isSending = false
      send(line)
    }
  }

  /// Requests whose time is over are answered; their replies are dropped when they come.
  func expire(_ line: ClientLine, _ now: ContinuousClock.Instant) {
    guard let next = line.nextDeadline, next <= now else { return }
    let over = line.waiting.filter { $0.value.deadline <= now }
    for (id, request) in over {
      line.waiting[id] = nil
      request.continuation.resume(returning: .lost("the node did not answer in time"))
    }
    line.nextDeadline = line.waiting.values.map(\.deadline).min()
  }
}
