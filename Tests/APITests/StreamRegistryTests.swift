// Streams between requests: who gets one back, how often, and for how long.

import API
import Base
import ShardStore
import Testing
import Threads

/// A clock that tests move.
private final class MovedClock: StoreClock {
  private let nanoseconds = Lock<UInt64>(1_000_000_000_000)

  func unixMicroseconds() -> UnixMicroseconds { Int64(monotonicNanoseconds() / 1000) }
  func monotonicNanoseconds() -> UInt64 { nanoseconds.with { $0 } }
  func pass(seconds: UInt64) { nanoseconds.with { $0 += seconds * 1_000_000_000 } }
  func goBack() { nanoseconds.with { $0 -= 1 } }
}

@Suite struct StreamRegistryTests {
  private let clock = MovedClock()
  private let account = AccountID(bits: 1)
  private let registry: StreamRegistry

  init() {
    var limits = StreamRegistry.Limits(
      sessionsPerAccount: 2, sessionIdle: 10_000_000_000, sessionLife: 60_000_000_000)
    limits.waitingPerAccount = 3
    limits.lightIdle = 600_000_000_000
    registry = StreamRegistry(limits: limits, clock: clock)
  }

  private func stream(_ account: UInt128 = 1) -> HranaStream {
    HranaStream(account: AccountID(bits: account), credential: "key a")
  }

  @Test("batons hold 256 random bits, name their process, and bring along what can go on elsewhere")
  func batons() throws {
    let drawn = Set((0..<100).map { _ in registry.drawBaton() })
    let secrets = Set(drawn.compactMap { $0.split(separator: ".").last })
    #expect(secrets.count == 100 && secrets.allSatisfy { $0.utf8.count == 64 })
    let other = StreamRegistry(limits: .init(sessionsPerAccount: 1, sessionIdle: 1, sessionLife: 1), clock: clock)
    let bound = try #require(Baton(registry.drawBaton()))
    #expect(bound.lastInsertRowID == nil && !registry.isForeign(bound) && other.isForeign(bound))
    let light = try #require(Baton(registry.drawBaton(lastInsertRowID: -7)))
    #expect(light.lastInsertRowID == -7 && Baton(light.text) == light)
    for text in ["", "b", "..", "1..ab", "g..\(secrets.first!)", "1.x.\(secrets.first!)", "1.2.3.4"] {
      #expect(Baton(text) == nil, "\(text)")
    }
  }

  @Test("a baton is good once, for its account and credential only")
  func once() async {
    #expect(registry.put(stream(), baton: "b"))
    #expect(await registry.take("b", account: AccountID(bits: 2), credential: "key a") == nil)
    #expect(await registry.take("b", account: account, credential: "key b") == nil)
    #expect(await registry.take("c", account: account, credential: "key a") == nil)
    #expect(await registry.take("b", account: account, credential: "key a") != nil)
    #expect(await registry.take("b", account: account, credential: "key a") == nil)
  }

  @Test("what came after somebody looked at the clock has waited for no time")
  func later() async {
    #expect(registry.put(stream(), baton: "b"))
    #expect(registry.put(stream(), baton: "busy"))
    _ = registry.takeNow("busy", account: account, credential: "key a", forCursor: true)
    async let waiter = registry.take("busy", account: account, credential: "key a")
    clock.goBack()
    #expect(registry.takeExpired().isEmpty)
    registry.release("busy")
    #expect(await waiter == nil)
    #expect(await registry.take("b", account: account, credential: "key a") != nil)
  }

  @Test("a stream that nobody continues is given up, and not before its time")
  func idle() async {
    #expect(registry.put(stream(), baton: "b"))
    clock.pass(seconds: 600)
    #expect(registry.takeExpired().isEmpty)
    clock.pass(seconds: 1)
    #expect(registry.takeExpired().count == 1)
    #expect(await registry.take("b", account: account, credential: "key a") == nil)
  }

  @Test("an account's oldest light stream goes when it has too many; others keep theirs")
  func bounded() async {
    #expect(registry.put(stream(2), baton: "other"))
    for baton in ["1", "2", "3", "4"] {
      clock.pass(seconds: 1)
      #expect(registry.put(stream(), baton: baton))
    }
    #expect(await registry.take("1", account: account, credential: "key a") == nil)
    for baton in ["2", "3", "4"] { #expect(await registry.take(baton, account: account, credential: "key a") != nil) }
    #expect(await registry.take("other", account: AccountID(bits: 2), credential: "key a") != nil)
  }

  @Test("sessions are counted per account and given back")
  func sessions() throws {
    try registry.admitSession(account)
    try registry.admitSession(account)
    #expect(throws: HranaError.self) { try registry.admitSession(account) }
    try registry.admitSession(AccountID(bits: 2))
    registry.releaseSession(account)
    try registry.admitSession(account)
  }

  @Test("a request that comes while the cursor is written waits for the stream")
  func cursor() async throws {
    #expect(registry.put(stream(), baton: "b"))
    var taken = try #require(registry.takeNow("b", account: account, credential: "key a", forCursor: true))
    try taken.store(7, "SELECT 7")
    let (registry, account) = (registry, account)
    async let next = registry.take("b", account: account, credential: "key a")
    await Task.yield()
    #expect(registry.put(taken, baton: "b"))
    #expect(await next?.storedSQL == [7: "SELECT 7"])
  }

  @Test("a request does not wait for a cursor for ever")
  func stuckCursor() async {
    #expect(registry.put(stream(), baton: "b"))
    #expect(registry.takeNow("b", account: account, credential: "key a", forCursor: true) != nil)
    let (registry, account) = (registry, account)
    async let next = registry.take("b", account: account, credential: "key a")
    await Task.yield()
    registry.release("b")
    #expect(await next == nil)
  }

  @Test("after the end nothing is taken or given")
  func closed() {
    #expect(registry.put(stream(), baton: "b"))
    #expect(registry.close().count == 1)
    #expect(!registry.put(stream(), baton: "c"))
    #expect(throws: HranaError.self) { try registry.admitSession(account) }
  }

  @Test("stored texts are bounded in number and size")
  func stored() throws {
    var stream = stream()
    try stream.store(1, "a")
    #expect(throws: HranaError.self) { try stream.store(1, "b") }
    #expect(throws: HranaError.self) { try stream.store(2, String(repeating: "x", count: 65_536)) }
    stream.forget(1)
    try stream.store(1, "b")
    #expect(stream.storedSQL == [1: "b"])
  }
}
