// The life of a job: waits, runs, tells, ends; and what a stop of the node does to it.

import Backup
import Node
import Testing

@Suite("jobs")
struct JobRegistryTests {
  let clock = TestClock()

  private func registry(parallel: Int = 2) -> JobRegistry {
    JobRegistry(parallel: parallel, history: .seconds(60), clock: clock)
  }

  private func last(_ registry: JobRegistry, _ id: JobID) async -> JobStatus? {
    var last: JobStatus?
    for await status in registry.events(id) { last = status }
    return last
  }

  @Test("a job that succeeds ends with its result and full progress")
  func success() async throws {
    let registry = registry()
    let id = try registry.start(.snapshot, account: "a", sharing: false) { reporter in
      reporter.report(0.5, "half")
      return ["bytes": "7"]
    }
    let end = await last(registry, id)
    #expect(end?.state == .done)
    #expect(end?.progress == 1)
    #expect(end?.result == ["bytes": "7"])
    #expect(registry.status(id) == end)
  }

  @Test("a job that fails says why")
  func failure() async throws {
    let registry = registry()
    let id = try registry.start(.restore, account: "a", sharing: false) { _ in throw NodeError(.notFound, "no snapshot")
    }
    let end = await last(registry, id)
    #expect(end?.state == .failed)
    #expect(end?.failure == NodeError(.notFound, "no snapshot"))
  }

  @Test("a shared job is given again while it has not ended, and a new one is made after")
  func sharing() async throws {
    let registry = registry()
    let gate = Gate()
    let body: JobRegistry.Body = { _ in
      await gate.wait()
      return [:]
    }
    let first = try registry.start(.snapshot, account: "a", sharing: true, body)
    #expect(try registry.start(.snapshot, account: "a", sharing: true, body) == first)
    #expect(try registry.start(.snapshot, account: "b", sharing: true, body) != first)
    #expect(try registry.start(.verify, account: "a", sharing: true, body) != first)
    await gate.open()
    _ = await last(registry, first)
    #expect(try registry.start(.snapshot, account: "a", sharing: true, body) != first)
    await registry.close()
  }

  @Test("no more than the configured number run at a time, in the order in which they came")
  func bounded() async throws {
    let registry = registry(parallel: 1)
    let gate = Gate()
    let first = try registry.start(.snapshot, account: "a", sharing: false) { _ in
      await gate.wait()
      return [:]
    }
    let second = try registry.start(.snapshot, account: "b", sharing: false) { _ in [:] }
    #expect(registry.status(second)?.state == .waiting)
    await gate.open()
    #expect(await last(registry, second)?.state == .done)
    #expect(registry.status(first)?.state == .done)
  }

  @Test("progress never falls and stays within its bounds")
  func progress() async throws {
    let registry = registry()
    let seen = Gate()
    let id = try registry.start(.verify, account: "a", sharing: false) { reporter in
      reporter.report(0.6, "a")
      reporter.report(0.2, "b")
      reporter.report(-5, "c")
      await seen.wait()
      return [:]
    }
    for await status in registry.events(id) where status.message == "c" {
      #expect(status.progress == 0.6)
      await seen.open()
    }
    #expect(registry.status(id)?.state == .done)
  }

  @Test("a stop ends what runs and what waits, and refuses what comes")
  func close() async throws {
    let registry = registry(parallel: 1)
    let running = try registry.start(.snapshot, account: "a", sharing: false) { _ in
      try await Task.sleep(for: .seconds(3600))
      return [:]
    }
    let waiting = try registry.start(.snapshot, account: "b", sharing: false) { _ in [:] }
    await registry.close()
    #expect(registry.status(running)?.failure?.code == .unavailable)
    #expect(registry.status(waiting)?.failure?.code == .unavailable)
    #expect(throws: NodeError.self) { try registry.start(.snapshot, account: "c", sharing: false) { _ in [:] } }
  }

  @Test("a cancelled job ends as such, whatever its work says of it, one that waits at once; its flag is set")
  func cancel() async throws {
    let registry = registry(parallel: 1)
    let begun = Gate()
    let running = try registry.start(.restore, account: "a", sharing: false) { _ in
      let flag = JobScope.current.cancel
      await begun.open()
      while !flag.isSet { try? await Task.sleep(for: .milliseconds(1)) }
      #expect(!flag.keepsWork)
      throw NodeError(.io, "what the work says")
    }
    let waiting = try registry.start(.snapshot, account: "b", sharing: false) { _ in [:] }
    await begun.wait()
    let reason = NodeError(.refused, "the job was cancelled")
    await registry.cancel(waiting, reason)
    await registry.cancel(running, reason)
    for id in [running, waiting] {
      let status = registry.status(id)
      #expect(status?.state == .cancelled && status?.failure?.message == "the job was cancelled")
    }
  }

  @Test("work that ends well although it was cancelled is done; a stop tells it to keep what it has")
  func late() async throws {
    let registry = registry(parallel: 2)
    let begun = Gate()
    let late = try registry.start(.restore, account: "a", sharing: false) { _ in
      await begun.open()
      while !JobScope.current.cancel.isSet { try? await Task.sleep(for: .milliseconds(1)) }
      return ["keeps": "\(JobScope.current.cancel.keepsWork)"]
    }
    await begun.wait()
    await registry.close()
    #expect(registry.status(late)?.state == .done && registry.status(late)?.result == ["keeps": "true"])
  }

  @Test("watchers that leave while a job reports hold up nobody, and those that stay hear of the end")
  func leavingWatchers() async throws {
    let registry = registry()
    let id = try registry.start(.export, account: "a", sharing: false) { reporter in
      // It ends when the watchers have gone: both go on side by side.
      while !JobScope.current.cancel.isSet { reporter.report(0.5, "busy") }
      return [:]
    }
    let stays = Task { await last(registry, id) }
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          for turn in 0..<500 {
            let events = turn % 4 == 0 ? registry.end(of: id) : registry.events(id)
            let watcher = Task { for await _ in events {} }
            await Task.yield()
            watcher.cancel()
            await watcher.value
          }
        }
      }
    }
    await registry.cancel(id, NodeError(.refused, "enough"))
    #expect(await stays.value?.state.isFinal == true)
    var ends = 0
    for await status in registry.end(of: id) where status.state.isFinal { ends += 1 }
    #expect(ends == 1)
  }

  @Test("a finished job is forgotten after its time")
  func history() async throws {
    let registry = registry()
    let id = try registry.start(.snapshot, account: "a", sharing: false) { _ in [:] }
    _ = await last(registry, id)
    clock.advance(61)
    _ = try registry.start(.snapshot, account: "b", sharing: false) { _ in [:] }
    #expect(registry.status(id) == nil)
    #expect(await last(registry, id) == nil)
  }
}

/// Holds whoever waits until it is opened.
actor Gate {
  private var isOpen = false
  private var waiters: [CheckedContinuation<Void, Never>] = []

  func wait() async {
    if isOpen { return }
    await withCheckedContinuation { waiters.append($0) }
  }

  func open() {
    isOpen = true
    for waiter in waiters { waiter.resume() }
    waiters = []
  }
}
