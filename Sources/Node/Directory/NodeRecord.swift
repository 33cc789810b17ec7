// What the cluster has agreed on about one node. Whether it lives at this moment is the membership's word.

package import Base
import Foundation

package struct NodeRecord: Sendable, Equatable {
  package enum State: String, Sendable, Codable {
    /// Let in, never started.
    case joining
    case active
    /// Holds no new replica and gives away those that it has.
    case draining
    /// Out for ever: no node takes its links and datagrams, and it ends when it hears of it.
    case removed
  }

  package var id: NodeID
  package var name: String
  package var region: String
  package var zone: String
  /// `address:port` of its fabric.
  package var fabric: String
  /// Base URL of its API.
  package var url: String
  package var state: State
  package var joinedAt: UnixMicroseconds
  /// Holds the cluster's authorities: makes certificates.
  package var isIssuer: Bool
  /// The ring of datagram keys that it has taken over.
  package var ringGeneration: Int
}

/// The value of `node/<id>`.
struct StoredNode: Codable {
  var version = 1
  var name: String
  var region: String
  var zone: String
  var fabric: String
  var url: String
  var state: NodeRecord.State
  var joinedAt: UnixMicroseconds
  var isIssuer: Bool
  var ringGeneration: Int

  init(_ record: NodeRecord) {
    name = record.name
    region = record.region
    zone = record.zone
    fabric = record.fabric
    url = record.url
    state = record.state
    joinedAt = record.joinedAt
    isIssuer = record.isIssuer
    ringGeneration = record.ringGeneration
  }

  func record(id: NodeID) throws(NodeError) -> NodeRecord {
    NodeRecord(
      id: id, name: name, region: region, zone: zone, fabric: fabric, url: url, state: state, joinedAt: joinedAt,
      isIssuer: isIssuer, ringGeneration: ringGeneration)
  }
}
