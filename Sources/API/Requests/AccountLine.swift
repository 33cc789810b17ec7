// One program's line: its requests run beside each other, and replies leave in the order in which they are ready.
//
// It lives on the fabric's loop: what arrives is worked off in the turn in which it came, a lone write goes from there to
// the account's writer, and its reply leaves in the turn in which replication says that it is durable; no task is woken
// for it. Replies of one turn leave together. While too many requests run, or too much waits to be read by the program,
// nothing more is taken from the line.

import Base
import Fabric
import Formats
import Node
import ShardStore
import UVLoop

actor AccountLine {
  private struct Running {
    let id: UInt32
    let deadline: ContinuousClock.Instant
  }

  private static let runningMax = 256
  private static let outboxBytesMax = 4 << 20

  private nonisolated let loop: UVLoop
  nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

  private let channel: FabricChannel
  private let requests: AccountRequests
  private var messages = AccountMessages()
  private var token: String?
  /// Received, and not given back to the program as credit yet.
  private var owed = 0
  /// Requests that are not answered, by a number of the line's; those that run after their time is over are not among
  /// them.
  private var waiting: [UInt64: Running] = [:]
  private var running = 0
  private var lastNumber: UInt64 = 0
  /// No deadline of `waiting` is earlier.
  private var nextDeadline: ContinuousClock.Instant?
  private var alarm: UVTimer?
  private var flusher: UVTail?
  /// Replies that are to leave, and those that leave now with what the link has taken of them.
  private var outbox: [UInt8] = []
  private var batch: [UInt8] = []
  private var given = 0
  private var isReading = true
  private var isBroken = false
  private var isWorking = false
  private var isFlushing = false
  private var whenOver: CheckedContinuation<Void, Never>?

  init(_ channel: FabricChannel, requests: AccountRequests) {
    self.channel = channel
    self.requests = requests
    loop = channel.loop
  }

  /// Returns when the program has gone, or has nothing more to ask and all its replies.
  func run() async {
    do throws(UVError) {
      alarm = try UVTimer(on: loop) { [weak self] _ in self?.assumeIsolated { $0.expire() } }
      flusher = try UVTail(on: loop) { [weak self] in self?.assumeIsolated { $0.flush() } }
    } catch {
      // The loop has stopped, and every channel with it.
      return
    }
    await withCheckedContinuation { continuation in
      whenOver = continuation
      bind()
    }
    alarm?.close()
    let rest = batch[given...] + outbox
    if !isBroken, !rest.isEmpty { try? await channel.send(Array(rest)) }
    await channel.finish()
  }

  private func bind() {
    channel.bind(
      to: FabricPipe(
        received: { [weak self] bytes in self?.assumeIsolated { $0.received(bytes) } },
        sendable: { [weak self] in self?.assumeIsolated { $0.flush() } },
        ended: { [weak self] error in self?.assumeIsolated { $0.ended(isBroken: error != nil) } }))
  }

  // MARK: reading

  private func received(_ bytes: [UInt8]) {
    messages.feed(bytes)
    owed += bytes.count
    work()
  }

  /// Takes what there is room for. The program is held up by the credit that it does not get back.
  private func work() {
    guard !isWorking else { return }
    isWorking = true
    defer { isWorking = false }
    do throws(FormatError) {
      while isReading {
        guard running < Self.runningMax, outbox.count + batch.count - given <= Self.outboxBytesMax else { return }
        guard let message = try messages.next() else { break }
        try take(try AccountQuestion(decoding: message))
      }
    } catch {
      channel.drop()
    }
    guard owed > 0, isReading else { return }
    channel.took(owed)
    owed = 0
  }

  private func take(_ question: AccountQuestion) throws(FormatError) {
    switch (question, token) {
    case (.hello(let offered), nil):
      token = offered
      greet(offered)
    case (.request(let request), let token?): begin(request, token)
    case (.hello, _), (.request, nil): throw FormatError(.damaged, "a message out of order")
    }
  }

  /// A token that holds nothing ends the line.
  private func greet(_ token: String) {
    let node = requests.node
    guard requests.principal(token) != nil else {
      node.metrics.counter("komora_authentication_failures_total", [("surface", "fabric")]).increment()
      put(
        AccountResponse.failed(
          id: 0,
          AccountFailure(
            isUnknown: false, isRetryable: false, code: "UNAUTHORIZED", message: "a valid token is needed")
        ).encode())
      return ended(isBroken: false)
    }
    put(AccountResponse.welcome(node: node.nodeID, name: node.configuration.name).encode())
  }

  private func ended(isBroken broken: Bool) {
    isReading = false
    if broken { isBroken = true }
    tellIfOver()
  }

  private func tellIfOver() {
    // Of a program that has gone nobody waits for what still runs.
    if !isReading, running == 0 || isBroken { whenOver.take()?.resume() }
  }

  // MARK: answering

  /// What is most common needs no task: it goes to the writer from here, and the reply leaves from where its outcome is
  /// known.
  private func begin(_ request: AccountRequest, _ token: String) {
    let longest = requests.node.configuration.timers.requestTimeout
    let deadline = ContinuousClock.now + min(longest, .milliseconds(Int(max(request.deadlineMilliseconds, 1))))
    lastNumber += 1
    let number = lastNumber
    running += 1
    waiting[number] = Running(id: request.id, deadline: deadline)
    if nextDeadline.map({ deadline < $0 }) ?? true {
      nextDeadline = deadline
      alarm?.start(after: max(deadline - .now, .zero))
    }
    let isBegun = requests.beginWrite(request, token: token) { reply in
      if let reply { self.done(number, reply) } else { self.answer(number, request, token, deadline) }
    }
    if !isBegun { answer(number, request, token, deadline) }
  }

  private nonisolated func answer(
    _ number: UInt64, _ request: AccountRequest, _ token: String, _ deadline: ContinuousClock.Instant
  ) {
    Task { done(number, await requests.reply(to: request, token: token, until: deadline)) }
  }

  /// From any thread.
  private nonisolated func done(_ number: UInt64, _ reply: [UInt8]) {
    guard !loop.isCurrent else { return assumeIsolated { $0.settle(number, reply) } }
    loop.submit { self.assumeIsolated { $0.settle(number, reply) } }
  }

  private func settle(_ number: UInt64, _ reply: [UInt8]) {
    running -= 1
    // One whose time was over has been answered already.
    if waiting.removeValue(forKey: number) != nil { put(reply) }
    // The reader may go on in its place.
    flusher?.schedule()
    tellIfOver()
  }

  /// Answers requests whose time is over while they still run.
  private func expire() {
    let now = ContinuousClock.now
    for (number, request) in waiting where request.deadline <= now {
      waiting[number] = nil
      let failure = AccountFailure(
        isUnknown: true, isRetryable: false, code: "UNKNOWN", message: Deadlines.late.message)
      put(AccountResponse.failed(id: request.id, failure).encode())
    }
    nextDeadline = waiting.values.map(\.deadline).min()
    if let nextDeadline { alarm?.start(after: max(nextDeadline - now, .zero)) }
  }

  // MARK: sending

  private func put(_ message: [UInt8]) {
    guard !isBroken else { return }
    if outbox.isEmpty { outbox = message } else { outbox += message }
    flusher?.schedule()
  }

  /// Gives the link what it takes; it asks again when it has room.
  private func flush() {
    // After the program's last word the link asks no more: the rest is sent at the end. The link may ask in the middle of
    // being given something.
    guard isReading, !isFlushing else { return }
    isFlushing = true
    while true {
      if given == batch.count {
        (batch, given, outbox) = (outbox, 0, [])
        guard !batch.isEmpty else { break }
      }
      let taken = channel.give(batch, from: given)
      guard taken > 0 else { break }
      given += taken
    }
    isFlushing = false
    work()
  }
}
