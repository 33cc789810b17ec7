// What the admin API shows of the node's records.

import Backup
import Base
import Node
import ShardStore

struct AccountReply: Encodable {
  var id: String
  var name: String
  var createdAt: String
  var state: String
  /// What holds now; `surviveGoal` is what was asked for.
  var survives: String
  var surviveGoal: String?
  var home: String
  var residency: [String]
  var timezone: String
  var primary: String?
  var standbys: [String]?
  var epoch: UInt64?
  var position: String?

  init(_ record: AccountRecord) {
    id = "\(record.id)"
    name = record.name
    createdAt = record.createdAt.rfc3339
    state = record.state.rawValue
    survives = record.survives.rawValue
    surviveGoal = record.options.survive?.rawValue
    home = record.home
    residency = record.residency
    timezone = record.timezone
  }

  init(_ status: AccountStatus) {
    self.init(status.record)
    primary = status.primary
    standbys = status.standbys
    epoch = status.position?.epoch
    position = status.position.map { "\($0)" }
  }
}

struct AccountsReply: Encodable {
  var accounts: [AccountReply]
}

struct KeyReply: Encodable {
  var accessKey: String
  var label: String
  var createdAt: String
  /// Shown once, when the key is made.
  var secretKey: String?
  var token: String?

  init(_ record: KeyRecord) {
    accessKey = record.accessKey
    label = record.label
    createdAt = record.createdAt.rfc3339
  }

  init(_ key: NewKey) {
    self.init(key.record)
    secretKey = key.secretKey
    token = key.token
  }
}

struct KeysReply: Encodable {
  var keys: [KeyReply]
}

struct SnapshotReply: Codable {
  var id: String
  var createdAt: String
  var kind: String
  var bytes: UInt64
  var addedBytes: UInt64
  var databaseBytes: UInt64
  var recordings: Int
  var state: String
  var position: String
  /// Whose archive has it.
  var node: String

  init(_ info: SnapshotInfo, on node: String) {
    id = "\(info.id)"
    self.node = node
    createdAt = RFC3339.text(info.createdAt)
    kind = "\(info.kind)"
    bytes = info.bytes
    addedBytes = info.addedBytes
    databaseBytes = info.databaseBytes
    recordings = info.recordings
    state = "\(info.state)"
    position = "\(info.position)"
  }
}

struct SnapshotsReply: Codable {
  /// Oldest first.
  var snapshots: [SnapshotReply]
  /// Nodes that did not answer, so that nobody knows what their archives hold.
  var silent: [String]?
  /// Nodes that answered, but not with a list.
  var refused: [RefusalReply]?
}

struct RefusalReply: Codable {
  var node: String
  /// What it said.
  var detail: String
}

/// Of a problem document, what says why.
struct ProblemReply: Decodable {
  var detail: String?
}

struct JobReply: Encodable {
  struct Failure: Encodable {
    var code: String
    var detail: String
  }

  var id: String
  var kind: String
  var account: String
  var state: String
  var progress: Double
  var message: String
  var result: [String: String]
  var diff: DiffReply?
  var merge: MergeReply?
  var findings: [FindingReply]?
  var error: Failure?
  var createdAt: String
  var finishedAt: String?

  init(_ job: JobStatus) {
    id = "\(job.id)"
    kind = job.kind.rawValue
    account = job.account
    state = job.state.rawValue
    progress = job.progress
    message = job.message
    result = job.result
    diff = job.diff.map(DiffReply.init)
    merge = job.merge.map(MergeReply.init)
    if job.kind == .verify, job.state.isFinal { findings = job.findings.map { FindingReply($0, job.account) } }
    error = job.failure.map { Failure(code: $0.code.rawValue, detail: $0.message) }
    createdAt = job.createdAt.rfc3339
    finishedAt = job.finishedAt?.rfc3339
  }
}

/// A place that is not what was written, and what that costs.
struct FindingReply: Encodable {
  var account: String
  var path: String
  var offset: UInt64
  var bytes: UInt64
  var damage: Bool
  var message: String

  init(_ finding: VerifyFinding, _ account: String) {
    self.account = account
    path = finding.path
    offset = finding.offset
    bytes = finding.bytes
    damage = finding.severity == .damage
    message = finding.message
  }
}

struct JobsReply: Encodable {
  var jobs: [JobReply]
}

struct TokenReply: Encodable {
  var id: String
  var name: String
  var scopes: [String]
  var createdAt: String
  var expiresAt: String
  /// Shown once, when the token is made.
  var token: String?

  init(_ record: AdminTokenRecord) {
    id = record.id
    name = record.name
    scopes = record.scopes.sorted().map(\.rawValue)
    createdAt = record.createdAt.rfc3339
    expiresAt = record.expiresAt.rfc3339
  }

  init(_ token: NewAdminToken) {
    self.init(token.record)
    self.token = token.token
  }
}

struct TokensReply: Encodable {
  var tokens: [TokenReply]
}

struct NodeReply: Encodable {
  var id: String
  var name: String
  var region: String
  var zone: String
  var accounts: Int
}
