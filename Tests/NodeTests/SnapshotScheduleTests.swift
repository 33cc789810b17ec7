// Nightly snapshots follow the account's own clock.

import Base
import Foundation
import Node
import Testing

@Suite("snapshot schedule")
struct SnapshotScheduleTests {
  let schedule = SnapshotSchedule(from: 120, to: 240)
  /// Due at 02:00 sharp.
  let account = AccountID(bits: 0)

  private func time(_ text: String) throws -> UnixMicroseconds {
    UnixMicroseconds(try Date(text, strategy: .iso8601).timeIntervalSince1970) * 1_000_000
  }

  private func due(_ now: String, _ last: String?, zone: String = "UTC", created: String = "2025-01-01T00:00:00Z")
    throws
    -> Bool
  {
    try schedule.isDue(
      now: time(now), account: account, timezone: zone, lastSnapshot: last.map(time), createdAt: time(created))
  }

  @Test("due once a day, from its moment on")
  func daily() throws {
    #expect(try !due("2025-06-10T01:59:59Z", "2025-06-09T02:00:10Z"))
    #expect(try due("2025-06-10T02:00:00Z", "2025-06-09T02:00:10Z"))
    #expect(try !due("2025-06-10T02:00:30Z", "2025-06-10T02:00:10Z"))
    #expect(try !due("2025-06-10T23:00:00Z", "2025-06-10T02:00:10Z"))
  }

  @Test("the account's zone decides")
  func zones() throws {
    // 02:00 in Kyiv in summer is 23:00 UTC of the day before.
    #expect(try !due("2025-06-09T22:59:00Z", "2025-06-08T23:01:00Z", zone: "Europe/Kyiv"))
    #expect(try due("2025-06-09T23:00:00Z", "2025-06-08T23:01:00Z", zone: "Europe/Kyiv"))
    #expect(try !due("2025-06-10T09:00:00Z", "2025-06-09T12:05:00Z", zone: "Pacific/Honolulu"))
    #expect(try due("2025-06-10T12:00:00Z", "2025-06-09T12:05:00Z", zone: "Pacific/Honolulu"))
  }

  @Test("what was missed is due at once")
  func missed() throws { #expect(try due("2025-06-10T18:00:00Z", "2025-06-07T02:00:10Z")) }

  @Test("a new account waits for its first night")
  func newAccount() throws {
    #expect(try !due("2025-06-10T18:00:00Z", nil, created: "2025-06-10T12:00:00Z"))
    #expect(try due("2025-06-11T02:00:00Z", nil, created: "2025-06-10T12:00:00Z"))
  }

  @Test("exactly one due moment a day over a year of every zone, also where clocks are put forward over the window")
  func wholeYear() throws {
    for zone in ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "America/Sao_Paulo"] {
      var now = try time("2025-01-01T12:00:00Z")
      var last = now
      var count = 0
      for _ in 0..<(365 * 24 * 4) {
        now += 900 * 1_000_000
        if schedule.isDue(now: now, account: account, timezone: zone, lastSnapshot: last, createdAt: 0) {
          count += 1
          last = now
        }
      }
      #expect(count == 365, "\(zone)")
    }
  }

  @Test("accounts are spread over the window")
  func spread() throws {
    var random = SeededGenerator(seed: 3)
    let now = try time("2025-06-10T12:00:00Z")
    let midnight = try time("2025-06-10T00:00:00Z")
    let minutes = (0..<500).map { _ in
      (schedule.lastDue(now: now, account: AccountID(from: &random), timezone: "UTC") - midnight) / 60_000_000
    }
    #expect(minutes.allSatisfy { (120..<240).contains($0) })
    #expect(Set(minutes).count > 80)
  }
}
