// One program's line: its requests run beside each other, and replies leave in the order in which they are ready.
//
// Replies that wait for the link go together. While too many requests run, or too much waits to be read by the program,
// nothing more is taken from the line.

import Base
import Fabric
import Formats
import Node
import ShardStore
import Threads

final class AccountLine: Sendable {
  private struct State {
    var running = 0
    /// Messages that are to leave.
    var outbox: [UInt8] = []
    var isOver = false
    var sender: CheckedContinuation<Void, Never>?
    /// The reader waits for room.
    var reader: CheckedContinuation<Void, Never>?
    /// Waits until nothing runs any more.
    var drained: CheckedContinuation<Void, Never>?
  }

  private static let runningMax = 256
  private static let outboxBytesMax = 4 << 20

  private let channel: FabricChannel
  private let requests: AccountRequests
  private let state = Lock(State())

  init(_ channel: FabricChannel, requests: AccountRequests) {
    self.channel = channel
    self.requests = requests
  }

  func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await self.send() }
      await withDiscardingTaskGroup { running in await self.read(&running) }
      await drain()
      finish()
    }
    await channel.finish()
  }

  // MARK: reading

  private func read(_ running: inout DiscardingTaskGroup) async {
    var messages = AccountMessages()
    var token: String?
    do {
      while let bytes = try await channel.receive() {
        messages.feed(bytes)
        while let message = try messages.next() {
          switch (try AccountQuestion(decoding: message), token) {
          case (.hello(let offered), nil):
            token = offered
            guard greet(offered) else { return }
          case (.request(let request), let token?):
            await room()
            if !begin(request, token) { running.addTask { await self.answer(request, token) } }
          case (.hello, _), (.request, nil): throw FormatError(.damaged, "a message out of order")
          }
        }
      }
    } catch {
      await channel.cancel()
    }
  }

  /// False when the token holds nothing: then the line ends.
  private func greet(_ token: String) -> Bool {
    let node = requests.node
    guard requests.principal(token) != nil else {
      node.metrics.counter("komora_authentication_failures_total", [("surface", "fabric")]).increment()
      put(
        AccountResponse.failed(
          id: 0,
          AccountFailure(
            isUnknown: false, isRetryable: false, code: "UNAUTHORIZED", message: "a valid token is needed")
        ).encode())
      return false
    }
    put(AccountResponse.welcome(node: node.nodeID, name: node.configuration.name).encode())
    return true
  }

  private func room() async {
    await withCheckedContinuation { continuation in
      let waits = state.with { state in
        let isFull = state.running >= Self.runningMax || state.outbox.count > Self.outboxBytesMax
        if isFull, !state.isOver { state.reader = continuation } else { state.running += 1 }
        return isFull && !state.isOver
      }
      if !waits { continuation.resume() }
    }
  }

  // MARK: answering

  /// What is most common needs no task: it goes to the writer from here, and the reply leaves from where its outcome is
  /// known. False when the request has to go the long way.
  private func begin(_ request: AccountRequest, _ token: String) -> Bool {
    let deadline = deadline(of: request)
    let alarm = Alarm()
    let isBegun = requests.beginWrite(request, token: token) { reply in
      if let reply {
        self.settle(alarm, reply)
      } else {
        Task { self.settle(alarm, await self.requests.reply(to: request, token: token, until: deadline)) }
      }
    }
    if isBegun { set(alarm, request.id, deadline) }
    return isBegun
  }

  private func answer(_ request: AccountRequest, _ token: String) async {
    let (deadline, alarm) = (deadline(of: request), Alarm())
    set(alarm, request.id, deadline)
    settle(alarm, await requests.reply(to: request, token: token, until: deadline))
  }

  private func deadline(of request: AccountRequest) -> ContinuousClock.Instant {
    let longest = requests.node.configuration.timers.requestTimeout
    return ContinuousClock.now + min(longest, .milliseconds(Int(max(request.deadlineMilliseconds, 1))))
  }

  /// Answers a request whose time is over while it still runs.
  private final class Alarm: Sendable {
    struct State {
      var isAnswered = false
      var token: UInt64?
    }
    let state = Lock(State())
  }

  private func set(_ alarm: Alarm, _ id: UInt32, _ deadline: ContinuousClock.Instant) {
    let token = requests.deadlines.add(deadline) {
      let isLate = alarm.state.with { alarm in
        defer { alarm.isAnswered = true }
        return !alarm.isAnswered
      }
      guard isLate else { return }
      let failure = AccountFailure(
        isUnknown: true, isRetryable: false, code: "UNKNOWN", message: Deadlines.late.message)
      self.put(AccountResponse.failed(id: id, failure).encode())
    }
    // The reply may have come already.
    let isOver = alarm.state.with { alarm in
      alarm.token = token
      return alarm.isAnswered
    }
    if isOver { requests.deadlines.remove(token) }
  }

  private func settle(_ alarm: Alarm, _ reply: [UInt8]) {
    let (isFirst, token) = alarm.state.with { alarm in
      defer { alarm.isAnswered = true }
      return (!alarm.isAnswered, alarm.token)
    }
    if let token { requests.deadlines.remove(token) }
    if isFirst { put(reply) }
    left()
  }

  /// A request is done: the reader may go on, in its place.
  private func left() {
    let (reader, drained) = state.with { state in
      state.running -= 1
      return (Self.admit(&state), state.running == 0 ? state.drained.take() : nil)
    }
    reader?.resume()
    drained?.resume()
  }

  /// The reader has ended: returns when everything that it began is answered.
  private func drain() async {
    await withCheckedContinuation { continuation in
      let waits = state.with { state in
        if state.running > 0 { state.drained = continuation }
        return state.running > 0
      }
      if !waits { continuation.resume() }
    }
  }

  private static func admit(_ state: inout State) -> CheckedContinuation<Void, Never>? {
    guard state.isOver || (state.running < runningMax && state.outbox.count <= outboxBytesMax),
      let reader = state.reader.take()
    else { return nil }
    state.running += 1
    return reader
  }

  // MARK: sending

  private func put(_ message: [UInt8]) {
    let sender = state.with { state -> CheckedContinuation<Void, Never>? in
      guard !state.isOver else { return nil }
      if state.outbox.isEmpty { state.outbox = message } else { state.outbox += message }
      return state.sender.take()
    }
    sender?.resume()
  }

  private func finish() {
    let sender = state.with { state in
      state.isOver = true
      return state.sender.take()
    }
    sender?.resume()
  }

  private func send() async {
    while true {
      await withCheckedContinuation { continuation in
        let waits = state.with { state in
          guard state.outbox.isEmpty, !state.isOver else { return false }
          state.sender = continuation
          return true
        }
        if !waits { continuation.resume() }
      }
      let (batch, isOver, reader) = state.with { state in
        let batch = state.outbox
        state.outbox = []
        return (batch, state.isOver, Self.admit(&state))
      }
      reader?.resume()
      if batch.isEmpty, isOver { return }
      do { try await channel.send(batch) } catch {
        // The program has gone; what still runs is answered to nobody.
        let reader = state.with { state in
          state.isOver = true
          return state.reader.take()
        }
        reader?.resume()
        return
      }
    }
  }
}
