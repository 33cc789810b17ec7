// The simulated network and its time.

import Base
import Simulator
import Testing

@Suite struct VirtualNetworkTests {
  @Test("events come in the order of their instants, equal ones as they were put")
  func schedulerOrder() {
    var scheduler = VirtualScheduler<Int>()
    var random = SeededGenerator(seed: 1)
    var expected: [(at: Int64, event: Int)] = []
    for event in 0..<2000 {
      let at = Int64(random.below(300))
      scheduler.put(event, at: at)
      expected.append((at, event))
    }
    expected.sort { ($0.at, $0.event) < ($1.at, $1.event) }
    var taken: [Int] = []
    while let event = scheduler.take() { taken.append(event) }
    #expect(taken == expected.map(\.event))
  }

  @Test("time moves to the limit when nothing happens before it, and never back")
  func schedulerTime() {
    var scheduler = VirtualScheduler<Int>()
    #expect(scheduler.take(until: 50) == nil)
    #expect(scheduler.now == 50)
    scheduler.put(1, at: 10)
    #expect(scheduler.take(until: 100) == 1)
    #expect(scheduler.now == 50)
  }

  @Test("a cut is one-way, counts, and ends with its own heal")
  func cuts() {
    var network = VirtualNetwork(regions: [0, 0], conditions: .init(), seed: 1)
    network.cut(from: 0, to: 1)
    network.cut(from: 0, to: 1)
    network.heal(from: 0, to: 1)
    #expect(network.datagram(from: 0, to: 1, at: 0).isEmpty)
    #expect(network.datagram(from: 1, to: 0, at: 0).count == 1)
    #expect(network.message(from: 1, to: 0, at: 0) == nil)
    network.heal(from: 0, to: 1)
    #expect(network.datagram(from: 0, to: 1, at: 0).count == 1)
    #expect(network.counts.cut == 2)
  }

  @Test("loss, duplication and reordering happen as often as asked")
  func conditions() {
    var conditions = VirtualNetwork.Conditions()
    conditions.lossPermille = 200
    conditions.duplicatePermille = 100
    conditions.reorderPermille = 300
    var network = VirtualNetwork(regions: [0, 1], conditions: conditions, seed: 2)
    var arrivals = 0
    for _ in 0..<10_000 {
      let times = network.datagram(from: 0, to: 1, at: 1000)
      arrivals += times.count
      #expect(times.allSatisfy { $0 >= 40_001_000 })
    }
    #expect((1900...2100).contains(network.counts.lost))
    #expect((700...900).contains(network.counts.duplicated))
    #expect(network.counts.reordered > 2000)
    #expect(arrivals == 10_000 - network.counts.lost + network.counts.duplicated)
  }

  @Test("a drifting clock and its inverse agree", arguments: [-500, 0, 500])
  func clocks(drift: Int64) {
    let clock = VirtualNetworkClock(offset: 777, driftPartsPerMillion: drift)
    var random = SeededGenerator(seed: 3)
    for _ in 0..<1000 {
      let global = Int64(random.below(1 << 45))
      let local = clock.local(global)
      let back = clock.global(local)
      #expect(clock.local(back) >= local)
      #expect(abs(back - global) < 2_000_000)
    }
  }
}
