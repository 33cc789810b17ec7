// Once things are quiet everybody has everybody's last report.

import Formats
import Membership

enum HealthChecker {
  static func check(_ world: ClusterWorld) throws(Violation) {
    for observer in world.running {
      for subject in world.running where subject != observer {
        let own = world.members[subject].driver?.machine.ownHealth
        let known = world.members[observer].driver?.machine.member(world.members[subject].id)?.health
        guard own == known else {
          throw Violation(
            checker: "health",
            message: "\(observer) has report \(known?.version ?? 0) of \(subject), which gave \(own?.version ?? 0)")
        }
      }
    }
  }
}
