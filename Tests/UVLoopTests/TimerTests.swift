// Timers: never early, on the beat, gone when stopped.

import Base
import Testing
import UVLoop

@Suite(.timeLimit(.minutes(1)))
struct TimerTests {
  @Test("a timer never fires early, whatever the fraction of a millisecond")
  func early() async throws {
    let loop = UVLoop()
    let peer = Peer(loop)
    for microseconds in [0, 1, 500, 999, 1_000, 1_001, 2_500, 7_777] {
      let start = ContinuousClock.now
      try await peer.with { peer in
        peer.events = []
        peer.timers = [try UVTimer(on: peer.loop) { _ in peer.note("fired") }]
        peer.timers[0].start(after: .microseconds(microseconds))
        #expect(peer.timers[0].isRunning)
      }
      await peer.until { $0.events == ["fired"] }
      #expect(start.duration(to: .now) >= .microseconds(microseconds))
      #expect(await !peer.with { $0.timers[0].isRunning })
    }
    loop.stop()
  }

  @Test("a repeating timer keeps its beat: the hundredth is not later than the first")
  func beat() async throws {
    let loop = UVLoop()
    let peer = Peer(loop)
    let start = ContinuousClock.now
    try await peer.with { peer in
      peer.timers = [
        try UVTimer(on: peer.loop) { late in
          peer.lateness.append(late)
          peer.note()
        }
      ]
      peer.timers[0].start(after: .milliseconds(2), every: .milliseconds(2))
    }
    await peer.until { $0.lateness.count >= 100 }
    await peer.with { $0.timers[0].stop() }
    let took = start.duration(to: .now)
    let late = await peer.with { $0.lateness }
    #expect(took >= .milliseconds(200))
    // Whatever the machine's load, the beats lie on the grid: each is late by less than one interval, or skipped.
    #expect(late.allSatisfy { $0 >= .zero })
    #expect(late.sorted()[50] < .milliseconds(10))
    loop.stop()
  }

  @Test("a stopped or closed timer stays silent; a second start replaces the first")
  func stopped() async throws {
    let loop = UVLoop()
    let peer = Peer(loop)
    try await peer.with { peer in
      let timer = try UVTimer(on: peer.loop) { _ in peer.note("moved") }
      timer.start(after: .milliseconds(1))
      timer.start(after: .milliseconds(4))
      let silent = try UVTimer(on: peer.loop) { _ in peer.note("silent") }
      silent.start(after: .milliseconds(1))
      silent.stop()
      let closed = try UVTimer(on: peer.loop) { _ in peer.note("closed") }
      closed.start(after: .milliseconds(1))
      closed.close { peer.note("gone") }
      let last = try UVTimer(on: peer.loop) { _ in peer.note("last") }
      last.start(after: .milliseconds(8))
      peer.timers = [timer, silent, closed, last]
    }
    await peer.until { $0.events.contains("last") }
    #expect(await peer.with { $0.events } == ["gone", "moved", "last"])
    loop.stop()
  }

  @Test("a duration of any size becomes nanoseconds without a trap")
  func clamped() {
    #expect(Duration.seconds(Int64.max).nanoseconds == .max)
    #expect(Duration.seconds(Int64.min).nanoseconds == .min)
    #expect(Duration.nanoseconds(-5).nanoseconds == -5)
    #expect((Duration.seconds(9_223_372_036) + .milliseconds(999)).nanoseconds == .max)
  }
}
