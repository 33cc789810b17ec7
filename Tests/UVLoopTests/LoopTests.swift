// The loop itself: an executor for actors, order, measures, and an end that leaves nothing behind.

import Base
import Foundation
import Testing
import Threads
import UVLoop

@Suite(.timeLimit(.minutes(1)))
struct LoopTests {
  @Test("an actor pinned to a loop runs on its thread, and the caller gets its answer")
  func pinned() async {
    let loop = UVLoop()
    let peer = Peer(loop)
    #expect(!loop.isCurrent)
    #expect(await peer.with { $0.loop.isCurrent })
    #expect(
      await peer.with { peer in
        peer.assertIsolated(); return 42
      } == 42)
    loop.stop()
  }

  @Test("jobs run in the order of the calls; jobs from four threads all run")
  func order() async {
    let loop = UVLoop()
    let seen = Lock([Int]())
    for i in 0..<10_000 { loop.submit { seen.with { $0.append(i) } } }
    let threads = (0..<4).map { _ in
      Threads.Thread(name: "submit") { for _ in 0..<5_000 { loop.submit { seen.with { $0.append(-1) } } } }
    }
    for thread in threads { thread.join() }
    loop.stop()
    #expect(seen.with { $0.filter { $0 >= 0 } } == Array(0..<10_000))
    #expect(seen.with { $0.count } == 30_000)
    #expect(loop.metrics.jobsRun == 30_000)
  }

  @Test("a callback that takes too long is counted, and the lag that it makes is measured")
  func slow() async {
    let loop = UVLoop(slowLimit: .milliseconds(5), probeInterval: .milliseconds(1))
    let peer = Peer(loop)
    _ = await peer.with { _ in 1 }
    let before = loop.metrics.slowCallbacks
    _ = loop.metrics.takeWorst()
    await peer.with { _ in
      let end = UVLoop.bootNanoseconds() + 30_000_000
      while UVLoop.bootNanoseconds() < end {}
    }
    // Two beats later the probe, which was due meanwhile, has fired late.
    await peer.with { peer in
      peer.timers = [try! UVTimer(on: peer.loop) { _ in peer.note("beat") }]
      peer.timers[0].start(after: .milliseconds(5))
    }
    await peer.until { $0.events == ["beat"] }
    #expect(loop.metrics.slowCallbacks > before)
    let worst = loop.metrics.takeWorst()
    #expect(worst.callback >= .milliseconds(30))
    #expect(worst.lag >= .milliseconds(25))
    loop.stop()
  }

  @Test("a stop closes every handle, says so to its owner, and what comes later still runs")
  func drain() async throws {
    let loop = UVLoop()
    let server = Peer(loop)
    let client = Peer(loop)
    let address = try await server.listen()
    try await client.connect(address)
    await server.until { $0.events == ["accepted"] }
    _ = try await client.bind(.loopback())
    try await client.with { client in
      client.timers = try (0..<10).map { _ in try UVTimer(on: client.loop) { _ in } }
      for timer in client.timers { timer.start(after: .seconds(3600)) }
    }
    #expect(loop.metrics.openHandles == 16)
    await server.forget()
    loop.stop()
    loop.stop()
    #expect(loop.metrics.openHandles == 0)
    // The actors go on, on borrowed threads; their handles are closed.
    #expect(await client.with { $0.events } == ["connected", "closed closed"])
    #expect(await server.with { $0.events } == ["accepted", "closed closed"])
    #expect(await client.with { $0.connections[0].write([1]) } == .refused)
    #expect(await client.with { $0.socket!.send([1], to: address) } == .dropped)
    await #expect(throws: UVError.self) { try await client.with { _ = try UVTimer(on: $0.loop) { _ in } } }
    await client.with { client in for timer in client.timers { timer.start(after: .zero) } }
  }

  @Test("late jobs from many tasks run one at a time")
  func late() async {
    let loop = UVLoop()
    let peer = Peer(loop)
    loop.stop()
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<200 { group.addTask { for _ in 0..<20 { await peer.with { $0.receivedCount += 1 } } } }
    }
    #expect(await peer.with { $0.receivedCount } == 4000)
  }

  @Test("two hundred loops leave no thread and no descriptor")
  func leaks() async throws {
    func ours() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").count {
        (try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8)) == "uv-leak\n"
      }
    }
    for _ in 0..<200 {
      let loop = UVLoop(name: "uv-leak")
      let peer = Peer(loop)
      let address = try await peer.listen()
      try await peer.connect(address)
      loop.stop()
      #expect(loop.metrics.openHandles == 0)
    }
    #expect(try ours() == 0)
    // Other tests have threads and descriptors too; two hundred loops would leave a thousand and more.
    #expect(try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count < 1000)
  }
}
