// The command line.

import ClusterSim

struct Options {
  var from = 1
  /// Membership alone: the runs of its own planted bugs.
  var isMembershipOnly = false
  /// What `--bug` names; all for `all`.
  var bugs: [PlantedBug] = []
  /// Given, or else as many as a bug's bound, or 100.
  var seedsGiven: Int?
  var jobs = 2
  var isVerbose = false
  var isTraced = false
  var measures: String?
  var asksForHelp = false

  static var help: String {
    """
    komora-cluster-sim [--seeds N] [--from M] [--verbose]    N runs from seed M on, 100 from 1 if not said, on all cores
    komora-cluster-sim --seed N                              one run: its plan, its verdict, and the trace when it fails
    komora-cluster-sim --bug NAME [--seeds N] [--from M]     plants an error; fails unless a checker convicts it
    komora-cluster-sim --bug all                             all of them, each within its number of seeds
    komora-cluster-sim --measure WHAT                        times of calm and of starved clusters
    --membership      membership alone, without ownership on top
    --jobs N          at a time; 2 if not said
    --trace           with --seed: the trace in any case
    measures: ownership detection detection-small hints regions memberlist wan starvation starvation-500
    bugs: \(PlantedBug.all.map(\.name).joined(separator: " "))
    """
  }

  var seeds: Int { seedsGiven ?? 100 }

  struct Refused: Error, CustomStringConvertible { var description: String }

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "--seeds": seedsGiven = try Self.number(argument, &rest)
      case "--jobs": jobs = max(1, try Self.number(argument, &rest))
      case "--membership": isMembershipOnly = true
      case "--trace": isTraced = true
      case "--from": from = try Self.number(argument, &rest)
      case "--seed":
        from = try Self.number(argument, &rest)
        seedsGiven = 1
        isVerbose = true
      case "--verbose": isVerbose = true
      case "--help", "-h": asksForHelp = true
      case "--measure": measures = rest.popFirst() ?? "detection"
      case "--bug":
        let name = rest.popFirst()
        bugs = PlantedBug.all.filter { name == "all" || $0.name == name }
        guard !bugs.isEmpty else {
          throw Refused(description: "--bug takes all or one of \(PlantedBug.all.map(\.name).joined(separator: ", "))")
        }
      default: throw Refused(description: "unknown argument \(argument)")
      }
    }
  }

  private static func number(_ argument: String, _ rest: inout ArraySlice<String>) throws -> Int {
    guard let text = rest.popFirst(), let number = Int(text), number >= 0 else {
      throw Refused(description: "\(argument) takes a number")
    }
    return number
  }
}
