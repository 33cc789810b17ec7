// Hostile packets against a real endpoint: none is accepted, each is counted by its reason, and memory stays flat.
//
// The sums are exact. Datagrams go in batches that fit the socket's buffer, and the next batch waits until the endpoint
// has counted the last one; what the system dropped all the same is read from /proc and added. Connections are counted
// by how they ended. Every kind of datagram and of connection may be refused for its own reasons only.

import Base
import Fabric
import Glibc
import UVLoop

package struct Packets: Sendable {
  package struct Outcome: Sendable {
    package var lines: [String] = []
    package var passed = 0
    package var failed = 0
  }

  package var inputs = 1_000_000
  package var seed: UInt64 = 1
  /// Of resident memory between the first tenth of the attack and its end.
  package var growthBytesMax = 16 << 20
  /// The socket's buffer holds 208 KiB, counted in whole pages and more than the bytes themselves.
  static let batchBytes = 60_000

  package init() {}

  package func run() async -> Outcome {
    var outcome = Outcome()
    let (loop, far) = (UVLoop(name: "victim"), UVLoop(name: "attacker"))
    defer {
      loop.stop()
      far.stop()
    }
    do {
      let cluster = try PacketsCluster(key: 1)
      let victim = try await PacketsVictim(cluster, on: loop)
      let attacker = try PacketsAttacker(far, at: victim.address, cluster.credentials(2), seed: seed)
      let connections = max(inputs / 125, 5)
      try await datagrams(inputs - connections, cluster, victim, attacker, &outcome)
      try await streams(connections, victim, attacker, &outcome)
      await attacker.stop()
      await victim.endpoint.close()
    } catch {
      outcome.failed += 1
      outcome.lines.append("the attack could not begin: \(error)")
    }
    return outcome
  }

  private func datagrams(
    _ count: Int, _ cluster: PacketsCluster, _ victim: PacketsVictim, _ attacker: PacketsAttacker,
    _ outcome: inout Outcome
  ) async throws {
    var make = PacketsDatagrams(seed: seed, cluster, start: victim.start)
    var (sent, honest, done, dropped) = (0, 0, 0, 0)
    var before = PacketsVictim.residentBytes
    let kinds = PacketsDatagrams.Kind.allCases
    var kind = 0
    var heard: [[UInt8]] = []
    var isMeasured = false
    while done < count {
      // A few that must be heard, to be replayed while they are fresh.
      heard = (0..<8).map { _ in make.honest() }
      honest += 8
      var left = min(count - done, 2000)
      sent += try await attacker.send(heard)
      dropped = await settle(victim, sent, dropped)
      while left > 0 {
        let before = await victim.endpoint.counters
        let now = kinds[kind % kinds.count]
        kind += 1
        var batch: [[UInt8]] = []
        var bytes = 0
        while batch.count < min(left, 48), bytes < Self.batchBytes {
          batch.append(make.next(now, heard: heard))
          bytes += batch[batch.count - 1].count
        }
        sent += try await attacker.send(batch)
        dropped = await settle(victim, sent, dropped)
        left -= batch.count
        done += batch.count
        check(now, before, await victim.endpoint.counters, &outcome)
      }
      if !isMeasured, done >= count / 10 {
        isMeasured = true
        before = PacketsVictim.residentBytes
      }
    }
    let counters = await victim.endpoint.counters
    let refused = counters.datagramsRefused.values.reduce(0, +)
    for (reason, number) in counters.datagramsRefused.sorted(by: { $0.key < $1.key }) {
      outcome.lines.append("datagrams refused \(Self.pad(reason)) \(number)")
    }
    outcome.lines.append(
      "datagrams sent \(sent): heard \(counters.datagramsAccepted), refused \(refused), "
        + "dropped by the system \(dropped)")
    outcome.expect(counters.datagramsAccepted + refused + dropped == sent, "datagrams add up to what was sent")
    outcome.expect(sent == done + honest, "every datagram left")
    outcome.expect(
      counters.datagramsAccepted <= honest && victim.service.heardHonest == counters.datagramsAccepted
        && counters.datagramsAccepted + dropped >= honest, "only the \(honest) honest datagrams were heard")
    outcome.expect(victim.service.hostile == 0, "no hostile datagram was heard")
    memory(before, "datagrams", &outcome)
  }

  /// Waits until all that was sent is counted, or was dropped by the system; gives what was dropped.
  private func settle(_ victim: PacketsVictim, _ sent: Int, _ dropped: Int) async -> Int {
    var (dropped, rounds) = (dropped, 0)
    while true {
      let counters = await victim.endpoint.counters
      let counted = counters.datagramsAccepted + counters.datagramsRefused.values.reduce(0, +)
      if counted + dropped >= sent { return dropped }
      rounds += 1
      if rounds > 100 {
        dropped = victim.dropped
        try? await Task.sleep(for: .milliseconds(1))
      }
      if rounds > 10_000 { return dropped }
    }
  }

  private func check(
    _ kind: PacketsDatagrams.Kind, _ before: FabricCounters, _ after: FabricCounters, _ outcome: inout Outcome
  ) {
    let fits = Set(PacketsDatagrams.reasons(kind).map(\.rawValue))
    for (reason, count) in after.datagramsRefused where count != before.datagramsRefused[reason, default: 0] {
      if !fits.contains(reason) { outcome.expect(false, "\(kind.rawValue) was refused as \(reason)") }
    }
    if after.datagramsAccepted != before.datagramsAccepted { outcome.expect(false, "\(kind.rawValue) was heard") }
  }

  private func streams(
    _ count: Int, _ victim: PacketsVictim, _ attacker: PacketsAttacker, _ outcome: inout Outcome
  ) async throws {
    let kinds = PacketsAttacker.Stream.allCases
    // One round warms up what the library keeps for good.
    for kind in kinds { await attacker.attack(kind, count: max(count / 50, 1), atOnce: 48) }
    let before = PacketsVictim.residentBytes
    var made = kinds.count * max(count / 50, 1)
    var counters = try await untilGone(victim)
    for kind in kinds {
      let number = max((count - kinds.count * max(count / 50, 1)) / kinds.count, 1)
      let (former, questions) = (counters, victim.service.questions)
      await attacker.attack(kind, count: number, atOnce: 48)
      made += number
      counters = try await untilGone(victim)
      check(kind, former, counters, &outcome)
      let asked = victim.service.questions - questions
      outcome.expect(asked == 0 || PacketsAttacker.mayAsk(kind), "\(kind.rawValue) asked the service \(asked) times")
      if kind == .forbidden {
        let turnedAway = counters.refused["method", default: 0] - former.refused["method", default: 0]
        let late = PacketsAttacker.slow.reduce(0) { sum, reason in
          sum + counters.linksEnded[reason, default: 0] - former.linksEnded[reason, default: 0]
        }
        outcome.expect(
          turnedAway + late == number,
          "\(turnedAway) of \(number) forbidden questions were turned away, \(late) were late")
      }
    }
    let (ended, refused) = (counters.linksEnded.values.reduce(0, +), counters.refused.filter { $0.key != "method" })
    for (reason, number) in (counters.linksEnded.map { ($0, $1) } + refused.map { ($0, $1) }).sorted(by: { $0 < $1 }) {
      outcome.lines.append("connections ended \(Self.pad(reason)) \(number)")
    }
    outcome.lines.append(
      "questions of members: \(victim.service.questions) answered, \(counters.refused["method", default: 0]) not permitted"
    )
    let lost = await attacker.failedToConnect
    outcome.lines.append(
      "connections made \(made): ended \(ended), refused \(refused.values.reduce(0, +)), lost \(lost)")
    outcome.expect(ended + refused.values.reduce(0, +) + lost == made, "connections add up to what was made")
    outcome.expect(victim.service.hostile == 0, "no hostile question reached the service")
    outcome.expect(counters.links == 0 && counters.handshakes == 0, "no connection is left")
    memory(before, "connections", &outcome)
  }

  private func untilGone(_ victim: PacketsVictim) async throws -> FabricCounters {
    var counters = await victim.endpoint.counters
    for _ in 0..<5000 where counters.links > 0 {
      try await Task.sleep(for: .milliseconds(2))
      counters = await victim.endpoint.counters
    }
    // A question's task may begin after its link is gone.
    try await Task.sleep(for: .milliseconds(100))
    return counters
  }

  private func check(
    _ kind: PacketsAttacker.Stream, _ before: FabricCounters, _ after: FabricCounters, _ outcome: inout Outcome
  ) {
    let fits = PacketsAttacker.reasons(kind).union(PacketsAttacker.slow)
    for (reason, count) in after.linksEnded where count != before.linksEnded[reason, default: 0] {
      // What the system says of a cut connection depends on the moment.
      let name = reason.hasPrefix("transport.") ? "transport." : reason
      if !fits.contains(name) { outcome.expect(false, "\(kind.rawValue) ended as \(reason)") }
    }
  }

  private func memory(_ before: Int, _ name: String, _ outcome: inout Outcome) {
    let after = PacketsVictim.residentBytes
    outcome.lines.append("resident KiB during \(name): \(before >> 10) before, \(after >> 10) after")
    outcome.expect(after - before <= growthBytesMax, "memory grew by at most \(growthBytesMax >> 20) MiB")
  }

  private static func pad(_ text: String) -> String { text + String(repeating: " ", count: max(28 - text.count, 0)) }
}

extension Packets.Outcome {
  mutating func expect(_ holds: Bool, _ what: String) {
    if holds { passed += 1 } else { failed += 1 }
    if !holds { lines.append("FAILED: \(what)") }
  }
}
