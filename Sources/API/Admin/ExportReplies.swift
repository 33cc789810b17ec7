// What the admin API shows of exports.

import Backup
import Base
import Node

struct ExportReply: Codable {
  var id: String
  var state: String
  var account: String
  var createdAt: String
  /// Whose disk has it.
  var node: String
  // Of one that waits or runs:
  var job: String?
  var progress: Double?
  // Of a finished one:
  var position: String?
  var from: String?
  var to: String?
  var previous: String?
  var recordings: UInt64?
  var recordingBytes: UInt64?
  var recipients: [String]?
  var file: String?
  var bytes: UInt64?
  var sha256: String?
  var root: String?
  var publicKey: String?
  var partBytes: UInt64?

  init(_ standing: ExportStanding, on node: String) {
    self.node = node
    switch standing {
    case .job(let export, let status):
      id = "\(export)"
      state = status.state.rawValue
      account = status.account
      createdAt = status.createdAt.rfc3339
      job = "\(status.id)"
      progress = status.progress
    case .finished(let info):
      id = "\(info.id)"
      state = "done"
      account = info.accountName
      createdAt = info.createdAt.rfc3339
      position = info.position
      from = info.from?.rfc3339
      to = info.to?.rfc3339
      previous = info.previous.map { "\($0)" }
      recordings = info.recordings
      recordingBytes = info.recordingBytes
      recipients = info.recipients
      file = info.file
      bytes = info.bytes
      sha256 = info.hash.hex
      root = info.root.hex
      publicKey = info.publicKey.hex
      partBytes = info.partBytes
    }
  }
}

struct ExportsReply: Codable {
  /// Oldest first.
  var exports: [ExportReply]
  /// Nodes that did not answer, or not with a list.
  var silent: [String]?
}
