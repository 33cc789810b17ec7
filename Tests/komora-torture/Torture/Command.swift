// The program's commands; each prints its counts and ends with `N passed, M failed`.

import Glibc

package enum Command {
  package static func run(_ arguments: [String]) async -> Int32 {
    var rest = arguments[...]
    let name = rest.popFirst() ?? "help"
    let options = Options(rest)
    if options.has("help") { return usage() }
    if let unknown = options.unknown {
      Child.tell("komora-torture: there is no option --\(unknown)")
      return usage()
    }
    switch name {
    case "child":
      let a = Array(rest)
      guard a.count == 4, let scenario = Scenario(rawValue: a[0]), let mode = FaultMode(rawValue: a[2]),
        let nth = Int(a[3])
      else { return usage() }
      await Child.run(scenario, directory: a[1], mode: mode, nth: nth)
      return 0
    case "load-child":
      let a = Array(rest)
      guard a.count == 5, let base = Int(a[2]), let rate = Int(a[3]) else { return usage() }
      let load = OpenLoad(
        directory: a[0], page: SharedPage(a[1], making: false), base: base, rate: rate,
        known: Set(a[4].split(separator: ",").compactMap { Int($0) }))
      do { try await load.run() } catch { Child.tell("problem the load ended: \(error)") }
      return 1
    case "random":
      var kills = RandomKills(kills: Int(options["kills"] ?? "300") ?? 300, seed: UInt64(options["seed"] ?? "1") ?? 1)
      if let rate = options["rate"].flatMap({ Int($0) }) { kills.rate = rate }
      kills.keep = options.has("keep")
      let outcome = await kills.run()
      return finish(outcome.passed, outcome.failed)
    case "flip":
      var flips = Flips()
      flips.stride = Int(options["stride"] ?? "1") ?? 1
      let outcome = await flips.run()
      for line in outcome.lines { Child.tell(line) }
      return finish(outcome.passed, outcome.failed)
    case "canary":
      let outcome = await Canary().run()
      for line in outcome.lines { Child.tell(line) }
      return finish(outcome.passed, outcome.failed)
    case "packets":
      var packets = Packets()
      if let inputs = options["inputs"].flatMap({ Int($0) }) { packets.inputs = inputs }
      if let seed = options["seed"].flatMap({ UInt64($0) }) { packets.seed = seed }
      let outcome = await packets.run()
      for line in outcome.lines { Child.tell(line) }
      return finish(outcome.passed, outcome.failed)
    case "enumerate": return await enumerate(options)
    default: return usage()
    }
  }

  private static func usage() -> Int32 {
    Child.tell(
      """
      komora-torture enumerate [--scenario NAME|all] [--mode kill|fail|all] [--stride N] [--keep]
      komora-torture random [--kills 300] [--seed N] [--rate WRITES-PER-SECOND] [--keep]
      komora-torture flip [--stride N]
      komora-torture canary
      komora-torture packets [--inputs 1000000] [--seed N]
      scenarios: \(Scenario.allCases.map(\.rawValue).joined(separator: " "))
      """)
    return 2
  }

  static func finish(_ passed: Int, _ failed: Int) -> Int32 {
    Child.tell("\(passed) passed, \(failed) failed")
    return failed == 0 && passed > 0 ? 0 : 1
  }

  private static func enumerate(_ options: Options) async -> Int32 {
    let wanted = options["scenario"] ?? "all"
    let mode = options["mode"] ?? "all"
    let scenarios =
      wanted == "all" ? Scenario.allCases : wanted.split(separator: ",").compactMap { Scenario(rawValue: String($0)) }
    guard !scenarios.isEmpty, ["all", "kill", "fail"].contains(mode) else { return usage() }
    var (passed, failed) = (0, 0)
    for scenario in scenarios {
      var enumeration = Enumeration(scenario, kills: mode != "fail", failures: mode != "kill")
      enumeration.stride = Int(options["stride"] ?? "1") ?? 1
      enumeration.keep = options.has("keep")
      let outcome = await enumeration.run()
      for line in outcome.lines { Child.tell(line) }
      Child.tell("\(scenario.rawValue): \(outcome.passed) passed, \(outcome.failed) failed")
      passed += outcome.passed
      failed += outcome.failed
    }
    return finish(passed, failed)
  }
}

/// `--name value` and `--name`.
struct Options {
  private var values: [String: String] = [:]
  private var flags: Set<String> = []

  init(_ arguments: ArraySlice<String>) {
    var rest = arguments
    while let word = rest.popFirst() {
      guard word.hasPrefix("--") else { continue }
      let name = String(word.dropFirst(2))
      if let value = rest.first, !value.hasPrefix("--") {
        values[name] = value
        rest = rest.dropFirst()
      } else {
        flags.insert(name)
      }
    }
  }

  /// A name that no command knows.
  var unknown: String? {
    let known: Set = ["scenario", "mode", "stride", "keep", "kills", "seed", "rate", "help", "inputs"]
    return flags.union(values.keys).subtracting(known).min()
  }

  subscript(name: String) -> String? { values[name] }
  func has(_ name: String) -> Bool { flags.contains(name) }
}
