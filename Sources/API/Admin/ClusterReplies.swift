// What the admin API shows of the cluster.

import Base
import Node
import OpenSSL

struct ClusterNodeReply: Encodable {
  var id: String
  var name: String
  var region: String
  var zone: String
  var state: String
  var fabric: String
  var url: String
  var joinedAt: String
  var isIssuer: Bool
  var datagramKeyGeneration: Int
  var health: String?
  var incarnation: UInt64?
  var roundTripMs: Double?
  var loadPermille: Int?
  var diskFillPermille: Int?
  var isDegraded: Bool?
  var accounts: Int?

  init(_ record: NodeRecord) {
    id = "\(record.id)"
    name = record.name
    region = record.region
    zone = record.zone
    state = record.state.rawValue
    fabric = record.fabric
    url = record.url
    joinedAt = record.joinedAt.rfc3339
    isIssuer = record.isIssuer
    datagramKeyGeneration = record.ringGeneration
  }

  init(_ node: ClusterStatus.Node) {
    self.init(node.record)
    health = node.health.rawValue
    incarnation = node.incarnation
    roundTripMs = node.roundTrip?.milliseconds
    loadPermille = node.loadPermille
    diskFillPermille = node.diskFillPermille
    isDegraded = node.isDegraded
    accounts = node.accountsCount
  }
}

struct ClientCertificateReply: Encodable {
  var authority: String
  var certificate: String
  /// Shown once.
  var key: String
  var nodes: [String]

  init(_ made: ClientCertificate) {
    authority = made.authority
    certificate = made.certificate
    key = String(decoding: made.key.copy, as: UTF8.self)
    nodes = made.nodes
  }
}

struct ClusterReply: Encodable {
  struct Control: Encodable {
    var managed: Bool
    var endpoints: [String]
    var isReachable: Bool
    var roundTripMs: Double?
  }

  var name: String
  var id: String
  /// Whose view this is.
  var node: String
  var nodes: [ClusterNodeReply]
  var caretaker: String?
  var committedTime: String?
  var control: Control
  var datagramKeyGeneration: Int
  var certificateEnds: String?
  var lastChange: String?

  init(_ status: ClusterStatus) {
    name = status.name
    id = status.id
    node = status.node
    nodes = status.nodes.map(ClusterNodeReply.init)
    caretaker = status.caretaker
    committedTime = status.committedTime?.rfc3339
    control = Control(
      managed: status.control.isManaged, endpoints: status.control.endpoints,
      isReachable: status.control.roundTrip != nil, roundTripMs: status.control.roundTrip?.milliseconds)
    datagramKeyGeneration = status.datagramKeyGeneration
    certificateEnds = status.certificateEnds?.rfc3339
    lastChange = status.lastChange
  }
}

struct InvitationReply: Encodable {
  /// Shown once.
  var token: String
  var cluster: String
  var name: String
  var region: String
  var expiresAt: String

  init(_ invitation: Invitation) {
    token = invitation.text
    cluster = invitation.cluster
    name = invitation.name
    region = invitation.region
    expiresAt = invitation.expiresAt.rfc3339
  }
}

struct DrainReply: Encodable {
  var node: ClusterNodeReply
  var accounts: Int
  var moves: [String]
  var stays: [String]

  init(_ report: DrainReport) {
    node = ClusterNodeReply(report.node)
    accounts = report.accountsCount
    moves = report.moves
    stays = report.stays
  }
}

struct WhatIfReply: Encodable {
  var lostNodes: [String]
  var lostAlready: [String]
  /// `kept`, `lost`, `unreachable` already, or `outside`: not judged.
  var control: String
  var accounts: Int
  var dataSurvives: Bool
  var writesGoOn: Bool
  var dataLost: [String]
  var writesStopped: [String]

  init(_ report: WhatIfReport) {
    lostNodes = report.lostNodes
    lostAlready = report.lostAlready
    control = report.control.rawValue
    accounts = report.accountsCount
    dataSurvives = report.dataLost.isEmpty
    writesGoOn = report.writesStopped.isEmpty && (report.control == .kept || report.control == .outside)
    dataLost = report.dataLost
    writesStopped = report.writesStopped
  }
}

extension Duration {
  fileprivate var milliseconds: Double {
    let microseconds = components.seconds * 1_000_000 + components.attoseconds / 1_000_000_000_000
    return Double(microseconds) / 1000
  }
}
