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
            running.addTask { await self.answer(request, token) }
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

  private func answer(_ request: AccountRequest, _ token: String) async {
    let longest = requests.node.configuration.timers.requestTimeout
    let time = min(longest, .milliseconds(Int(max(request.deadlineMilliseconds, 1))))
    let deadline = ContinuousClock.now + time
    let isOpen = Lock(true)
    let alarm = requests.deadlines.add(deadline) {
      guard isOpen.with({ Self.take(&$0) }) else { return }
      self.put(
        AccountResponse.failed(
          id: request.id,
          AccountFailure(
            isUnknown: true, isRetryable: false, code: "UNKNOWN", message: Deadlines.late.message)
        ).encode())
    }
    let reply = await requests.reply(to: request, token: token, until: deadline)
    requests.deadlines.remove(alarm)
    if isOpen.with({ Self.take(&$0) }) { put(reply) }
    left()
  }

  private static func take(_ flag: inout Bool) -> Bool {
    defer { flag = false }
    return flag
  }

  /// A request is done: the reader may go on, in its place.
  private func left() {
    let reader = state.with { state in
      state.running -= 1
      return Self.admit(&state)
    }
    reader?.resume()
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
