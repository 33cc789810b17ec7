// The cluster as one node sees it at one moment: what was agreed on, and who it believes lives.

package import Base
import Membership

package struct ClusterStatus: Sendable {
  package enum Health: String, Sendable {
    case alive, suspect, dead, left
    /// In the control store, never heard of.
    case unknown
  }

  package struct Node: Sendable {
    package var record: NodeRecord
    package var health: Health
    package var incarnation: UInt64
    /// Measured by this node's probes; nil for itself, and before the first answer.
    package var roundTrip: Duration?
    package var loadPermille: Int
    package var diskFillPermille: Int
    package var isDegraded: Bool
    /// Accounts whose shard it holds.
    package var accountsCount: Int
  }

  package var name: String
  package var id: String
  /// Who says all this.
  package var node: String
  /// By region, then name; removed ones only while somebody believes that they live.
  package var nodes: [Node]
  package var caretaker: String?
  package var committedTime: UnixMicroseconds?
  package var control: Control
  package var datagramKeyGeneration: Int
  /// Of this node's certificate.
  package var certificateEnds: UnixMicroseconds?
  package var lastChange: String?

  package struct Control: Sendable {
    package var isManaged: Bool
    package var endpoints: [String]
    /// Nil when it does not answer.
    package var roundTrip: Duration?
  }
}
