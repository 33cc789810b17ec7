// Reads on the way, and the end: everything heals, every log comes together, and what was promised must be there.

import Base
import SQLite
package import ShardStore
import Simulator

extension ReplicaWorld {
  func rows(_ node: ReplicaNode) throws -> ([Int64], Position) {
    try node.engine!.readNow(account, from: .replica) { connection in
      guard try !connection.query("SELECT 1 FROM sqlite_master WHERE name = 't'").isEmpty else { return [] }
      return try connection.query("SELECT k FROM t ORDER BY k").compactMap { $0[0].integer }
    }
  }

  /// Replicas at equal positions are equal, and a replica never shows what is not committed.
  func read(_ node: ReplicaNode) {
    guard node.isUp else { return }
    do {
      let (keys, position) = try rows(node)
      guard Int(position.index) <= committed.count,
        position.index == 0 || committed[Int(position.index) - 1] == position
      else { return report("reading", "node \(node.number) shows \(position), which is not committed") }
      if let known = shown[position.index] {
        if known != keys { report("equality", "at \(position) node \(node.number) has other rows than another showed") }
      }
      shown[position.index] = keys
      totals.note("read of a replica")
    } catch {
      if !node.disk.isDead, (error as? StoreError)?.code == .damaged {
        report("reading", "node \(node.number): \(error)")
      }
    }
  }

  func heal() {
    note("everything heals")
    for node in nodes {
      node.disk.heal()
      node.disk.onOperation(nil)
      node.stopAfter = nil
      if !node.isUp { revive(node) }
    }
    for round in 0..<200 where violation == nil {
      for node in nodes where !node.isUp { revive(node) }
      if leader == nil || round == 100 { elect() }
      for node in nodes {
        for _ in 0..<50 where !node.jobs.isEmpty { runJob(node) }
        while node.engine?.flushLog() == true {}
        takeNotes()
        deliver(to: node, all: true)
      }
      commit()
      for node in nodes { publish(on: node) }
      let ends = Set(nodes.map(\.end))
      if ends.count == 1, committed.last == ends.first, nodes.allSatisfy({ $0.told == committed.last?.index }),
        nodes.allSatisfy(\.jobs.isEmpty)
      {
        return verify()
      }
    }
    if violation == nil {
      report(
        "progress",
        "logs end at \(nodes.map(\.end)), committed \(committed.last.map { "\($0)" } ?? "nothing"), "
          + "published \(nodes.map(\.told)), leader \(leader.map { "\($0)" } ?? "none")")
    }
  }

  private func verify() {
    var all: [[Int64]] = []
    for node in nodes {
      do {
        let (keys, position) = try rows(node)
        all.append(keys)
        guard position == committed.last else {
          return report("end", "node \(node.number) shows \(position) instead of \(committed.last!)")
        }
        let check = try node.engine!.readNow(account, from: .replica) { try $0.query("PRAGMA integrity_check") }.0
        guard check == [[.text("ok")]] else { return report("integrity", "node \(node.number): \(check)") }
      } catch { return report("end", "node \(node.number): \(error)") }
    }
    guard Set(all).count == 1 else { return report("equality", "the replicas differ at the end") }
    let there = Set(all[0])
    let lost = acknowledged.subtracting(there)
    if !lost.isEmpty { return report("acknowledged", "\(lost.sorted().prefix(5)) were acknowledged and are gone") }
    let wrong = refused.intersection(there)
    if !wrong.isEmpty { return report("refused", "\(wrong.sorted().prefix(5)) were refused, and are there") }
    totals.note("acknowledged rows", acknowledged.count)
  }
}

/// Runs one seed of it.
package enum ReplicaSimulation {
  /// The errors that a replica's store can be told to make, by name.
  package static let bugs: [(name: String, bug: PlantedBugs)] = [("forget-reached", .forgetReached)]

  package static func run(seed: UInt64, bugs: PlantedBugs = []) -> ReplicaWorld {
    let world = ReplicaWorld(seed: seed, bugs: bugs)
    world.run()
    return world
  }
}
