// From when on a start hears datagrams: only where time may have gone back does it depend on the run before.

import Base
import Foundation
import Node
import Testing

@Suite struct DatagramClockTests {
  private let second: Int64 = 1_000_000
  private let kept = DatagramClock(reserved: 1_000_000_000, lead: 500_000_000, boot: "b1")

  @Test("a start on the same boot whose clock has gone on hears at once; one whose clock was set back does not")
  func setBack() {
    #expect(kept.notBefore(lead: 500_000_000, boot: "b1") == 0)
    #expect(kept.notBefore(lead: 500_000_000 + 3600 * second, boot: "b1") == 0, "set ahead")
    #expect(kept.notBefore(lead: 500_000_000 - 50_000, boot: "b1") == 0, "slewed")
    #expect(kept.notBefore(lead: 500_000_000 - second, boot: "b1") == kept.reserved)
    #expect(kept.notBefore(lead: 500_000_000, boot: "b2") == kept.reserved, "nobody knows how long it was off")
    #expect(DatagramClock(reserved: 7, lead: 0, boot: "").notBefore(lead: 0, boot: "") == 7)
  }

  @Test("it is written ahead of what is heard, rarely, and never falls back")
  func ahead() throws {
    var (clock, writes): (DatagramClock?, Int) = (nil, 0)
    for i in 0..<120 {
      let newest = 1000 * second + Int64(i) * second
      if let next = DatagramClock.next(after: clock, newest: newest, lead: 9, boot: "b") {
        (clock, writes) = (next, writes + 1)
      }
      #expect(try #require(clock).reserved > newest)
    }
    #expect(writes <= 9)
    // What reaches further stays, and the lead under which it was heard with it.
    #expect(DatagramClock.next(after: clock, newest: 5, lead: -3600 * second, boot: "b") == nil)
    #expect(DatagramClock.next(after: nil, newest: 0, lead: 9, boot: "b") == nil, "nothing was heard")
  }

  @Test("the file is read as it was written, and nothing else is")
  func text() {
    #expect(DatagramClock(text: kept.text) == kept)
    #expect(DatagramClock(text: "1 -2 x") == DatagramClock(reserved: 1, lead: -2, boot: "x"))
    for text in ["", "\n", "1", "1 2", "a 2 b", "1 b c", "1 2 3 4", " 1 2 3", "99999999999999999999 1 b"] {
      #expect(DatagramClock(text: text) == nil)
    }
  }
}

extension ClusterTests {
  @Suite("clock of the datagrams")
  struct Clock {
    let bed: ClusterBed
    init() throws { bed = try ClusterBed() }

    @Test("a node keeps the clock that it has heard, and one that says it was set back makes a start deaf to the past")
    func kept() async throws {
      let nodes = try await bed.cluster([("a", "eu"), ("b", "eu")])
      let path = nodes[1].configuration.paths.data + "/clock"
      func clock() -> DatagramClock? {
        FileManager.default.contents(atPath: path).flatMap { DatagramClock(text: String(decoding: $0, as: UTF8.self)) }
      }
      try await until("the clock is kept") { (clock()?.reserved ?? 0) > nodes[1].now }
      await nodes[1].close()
      // As if the wall clock had been an hour ahead of where it is now.
      var former = try #require(clock())
      former.reserved = nodes[0].now + 3_600_000_000
      former.lead += 3_600_000_000
      try Data(former.text.utf8).write(to: URL(fileURLWithPath: path))
      let b = try await bed.open(nodes[1].configuration)
      try await until("what may have been heard before is refused") {
        b.metric("komora_fabric_datagrams_refused", "beforeStart") > 0
      }
      await bed.close([nodes[0], b])
    }
  }
}
