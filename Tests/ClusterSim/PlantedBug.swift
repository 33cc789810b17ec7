// The errors that the machines of membership and ownership can be told to make: one table, each with the number of seeds
// within which a checker must find it.

package import Membership

package struct PlantedBug: Sendable {
  package enum Kind: Sendable {
    /// Looked for in runs of membership alone.
    case membership(PlantedBugs)
    /// Looked for in runs of everything together.
    case joint(JointBugs)
  }

  package let name: String
  package let kind: Kind
  package let seeds: Int

  package static let all: [PlantedBug] =
    ClusterSimulation.bugs.map { PlantedBug(name: $0.name, kind: .membership($0.bug), seeds: $0.seeds) }
    + JointSimulation.bugs.map { PlantedBug(name: $0.name, kind: .joint($0.bug), seeds: $0.seeds) }

  /// Runs seeds in order until a checker finds it; nil when none does.
  package func conviction(from: Int = 1, seeds: Int) -> String? {
    for seed in from..<(from + seeds) {
      let outcome =
        switch kind {
        case .membership(let bug): ClusterSimulation.run(seed: UInt64(seed), bugs: bug)
        case .joint(let bugs): JointSimulation.run(seed: UInt64(seed), bugs: bugs)
        }
      if let violation = outcome.violation {
        return "convicted after \(seed - from + 1) seeds by \(violation.checker)"
      }
    }
    return nil
  }
}
