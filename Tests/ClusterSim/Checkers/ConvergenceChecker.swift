// Once things are quiet all views are equal and right: who runs is alive at its own incarnation everywhere, who does not
// is not reached for anywhere, and refutations have won.

import Formats
import Membership

enum ConvergenceChecker {
  /// What is wrong with the views; nil when they are right.
  static func difference(_ world: ClusterWorld) -> String? {
    let running = world.running
    for observer in running {
      guard let machine = world.members[observer].driver?.machine else { continue }
      guard machine.phase == .active else { return "\(observer) is \(machine.phase)" }
      for subject in world.members.indices where subject != observer {
        let belief = machine.member(world.members[subject].id)
        if running.contains(subject) {
          let incarnation = world.members[subject].driver?.machine.incarnation
          guard let belief else { return "\(observer) does not know \(subject)" }
          guard belief.standing == .alive, belief.incarnation == incarnation else {
            return "\(observer) calls \(subject) \(belief.standing) at \(belief.incarnation), not \(incarnation ?? 0)"
          }
        } else if let belief, belief.isReachable {
          return "\(observer) calls \(subject) \(belief.standing), and it does not run"
        }
      }
    }
    return nil
  }
}
