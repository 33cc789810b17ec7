// What an export is to hold, and for whom.

package import Backup
package import Base

package struct ExportRequest: Sendable, Equatable {
  /// Name of the account.
  package var account: String
  package var from: UnixMicroseconds?
  package var to: UnixMicroseconds?
  /// age recipients; none for a file that everybody can read.
  package var recipients: [String]
  /// Leave out recordings that the newest export and those before it hold.
  package var sinceLast: Bool
  package var partBytes: UInt64?
  /// Plain WAV files as FLAC.
  package var asFLAC: Bool

  package init(
    account: String, from: UnixMicroseconds? = nil, to: UnixMicroseconds? = nil, recipients: [String] = [],
    sinceLast: Bool = false, partBytes: UInt64? = nil, asFLAC: Bool = false
  ) {
    self.account = account
    self.from = from
    self.to = to
    self.recipients = recipients
    self.sinceLast = sinceLast
    self.partBytes = partBytes
    self.asFLAC = asFLAC
  }
}

/// An export that has been asked for on this node: finished, or the job that it is.
package enum ExportStanding: Sendable {
  case finished(ExportInfo)
  case job(ExportID, JobStatus)
}
