// The command line.

import ShardStore
import StoreSim

struct Options {
  var seeds = 100
  var from = 1
  var bug: (name: String, bug: PlantedBugs)?
  var isVerbose = false
  var isReplicated = false
  var asksForHelp = false

  static var help: String {
    """
    komora-sim [--seeds N] [--from M] [--bug NAME] [--verbose]    N runs from seed M on, 100 from 1 if not said
    komora-sim --replicas [--seeds N] …                           the same for accounts with voters on three disks
    komora-sim --seed N                                           one run with its trace
    bugs: \(bugs.map(\.name).joined(separator: " "))
    """
  }

  private static let bugs = StoreSimulation.bugs + ReplicaSimulation.bugs

  struct Refused: Error, CustomStringConvertible { var description: String }

  init(_ arguments: [String]) throws {
    var rest = arguments[...]
    while let argument = rest.popFirst() {
      switch argument {
      case "--seeds": seeds = try Self.number(argument, &rest)
      case "--from": from = try Self.number(argument, &rest)
      case "--seed":
        from = try Self.number(argument, &rest)
        seeds = 1
        isVerbose = true
      case "--verbose": isVerbose = true
      case "--replicas": isReplicated = true
      case "--help", "-h": asksForHelp = true
      case "--bug":
        let name = rest.popFirst()
        guard let bug = Self.bugs.first(where: { $0.name == name }) else {
          throw Refused(description: "--bug takes one of \(Self.bugs.map(\.name).joined(separator: ", "))")
        }
        self.bug = bug
        if ReplicaSimulation.bugs.contains(where: { $0.name == name }) { isReplicated = true }
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
