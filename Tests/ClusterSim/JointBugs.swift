// Which errors the machines of a run are told to make.

package import Control
package import Membership
package import Replication

package struct JointBugs: Sendable {
  package var membership: PlantedBugs = []
  package var ownership: OwnershipBugs = []
  package var replication: ReplicationBugs = []
  package var store: SimulatedStoreBugs = []

  package init(
    membership: PlantedBugs = [], ownership: OwnershipBugs = [], replication: ReplicationBugs = [],
    store: SimulatedStoreBugs = []
  ) {
    self.membership = membership
    self.ownership = ownership
    self.replication = replication
    self.store = store
  }
}
