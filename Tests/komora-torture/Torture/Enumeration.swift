// Visits every place of a story: the first, the second, … until the story ends before the fault.

import Base
import Disk
import Glibc
import Simulator
import Threads

package struct Enumeration: Sendable {
  package let scenario: Scenario
  package let modes: [FaultMode]
  /// Every place, or every `stride`-th.
  package var stride = 1
  package var keep = false
  package var verbose = false

  package init(_ scenario: Scenario, kills: Bool, failures: Bool) {
    self.scenario = scenario
    modes = (kills ? FaultMode.kills : []) + (failures ? FaultMode.failures : [])
  }

  package struct Outcome: Sendable {
    package var passed = 0
    package var failed = 0
    package var lines: [String] = []
  }

  private struct Plot: Sendable {
    var base: String
    var template: String
    var start: Ledger
  }

  private final class Work: Sendable {
    let state = Lock((outcome: Outcome(), seen: Recovery.Seen(), refusals: [String: Int]()))
  }

  package func run() async -> Outcome {
    let base = Folder.make(below: Folder.fast)
    defer { if !keep { Folder.remove(base) } }
    let template = base + "/template"
    let told = Lock(Ledger())
    do {
      // `.manual` engines in one process: the story's own process inherits nothing but the files.
      try await scenario.prepare(template, disk: RealDisk()) { line in told.with { $0.note(line) } }
    } catch {
      return Outcome(passed: 0, failed: 1, lines: ["\(scenario.rawValue): cannot be prepared: \(error)"])
    }
    let start = told.with { $0 }
    let counted = execute(base + "/count", template, start, .count, 0)
    Folder.remove(base + "/count")
    let work = Work()
    listPlaces(counted.ledger, work)
    let plot = Plot(base: base, template: template, start: start)
    await withTaskGroup(of: Void.self) { group in
      for mode in modes {
        group.addTask {
          await visit(mode, plot, work)
        }
      }
    }
    return work.state.with { s in
      let seen = s.seen
      s.outcome.lines.append(
        "\(scenario.rawValue): compared \(seen.transactions) transactions, \(seen.recordings) recordings, "
          + "\(seen.snapshots) restored snapshots, \(seen.files) files in \(seen.accounts) accounts; "
          + "\(seen.mendable) remnants of crashes, \(seen.finished) restores gone on with")
      let answers = s.refusals.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      if !answers.isEmpty { s.outcome.lines.append("\(scenario.rawValue): answers to failures: \(answers)") }
      return s.outcome
    }
  }

  private func listPlaces(_ ledger: Ledger, _ work: Work) {
    work.state.with { s in
      let places = ledger.places.filter { !$0.key.hasPrefix("read ") && !$0.key.hasPrefix("open ") }
      let text = places.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
      s.outcome.lines.append("\(scenario.rawValue): places: \(text)")
      for name in scenario.required where (places[name] ?? 0) == 0 {
        s.outcome.failed += 1
        s.outcome.lines.append("\(scenario.rawValue): FAILED: the story has no '\(name)'")
      }
      if !ledger.finished {
        s.outcome.failed += 1
        s.outcome.lines.append(
          "\(scenario.rawValue): FAILED: the story does not end well without a fault: "
            + "\(ledger.refusals) \(ledger.problems)"
        )
      }
    }
  }

  /// One run of the story: what was told, and how the process ended.
  private func execute(_ directory: String, _ template: String, _ start: Ledger, _ mode: FaultMode, _ nth: Int) -> (
    ledger: Ledger, ending: ChildProcess.Ending
  ) {
    Folder.copy(template, to: directory)
    let child = ChildProcess(["child", scenario.rawValue, directory, mode.rawValue, String(nth)])
    let output = child.readAll()
    let ending = child.wait()
    var ledger = start
    // A line without its end was being written when the process died; nobody has read it.
    for line in output.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true) {
      ledger.note(String(decoding: line, as: UTF8.self))
    }
    return (ledger, ending)
  }

  private func visit(_ mode: FaultMode, _ plot: Plot, _ work: Work) async {
    let (base, template, start) = (plot.base, plot.template, plot.start)
    var nth = 1
    var visited = 0
    while true {
      let directory = "\(base)/\(mode.rawValue)-\(nth)"
      let (ledger, ending) = execute(directory, template, start, mode, nth)
      let fired = mode.isKill ? ending == .signalled(SIGKILL) : ledger.fired
      var problems: [String] = []
      if ending != .exited(0), !(mode.isKill && ending == .signalled(SIGKILL)) {
        problems.append("the process ended by \(ending)")
      }
      if fired, !mode.isKill, !mode.isForever, !ledger.finished {
        problems.append("the engine does not work on after one failure")
      }
      var recovery = Recovery(directory, scenario.configuration(directory), ledger)
      await recovery.check()
      problems += recovery.problems
      let failures = problems
      work.state.with { s in
        s.seen += recovery.seen
        for (code, count) in ledger.refusals { s.refusals[code, default: 0] += count }
        if failures.isEmpty { s.outcome.passed += 1 } else { s.outcome.failed += 1 }
        for problem in failures.prefix(6) {
          s.outcome.lines.append("\(scenario.rawValue): FAILED: \(mode.rawValue) at \(nth): \(problem)")
        }
      }
      if failures.isEmpty || !keep { Folder.remove(directory) }
      if !fired { break }
      visited += 1
      nth += stride
      if nth > 100_000 { break }
    }
    work.state.with { s in
      s.outcome.lines.append("\(scenario.rawValue): \(mode.rawValue): \(visited) places")
      if visited == 0 {
        s.outcome.failed += 1
        s.outcome.lines.append("\(scenario.rawValue): FAILED: \(mode.rawValue) hit no place")
      }
    }
  }
}
