// Which errors the machines of a run are told to make.

package import Control
package import Membership

package struct JointBugs: Sendable {
  package var membership: PlantedBugs = []
  package var ownership: OwnershipBugs = []

  package init(membership: PlantedBugs = [], ownership: OwnershipBugs = []) {
    self.membership = membership
    self.ownership = ownership
  }
}
