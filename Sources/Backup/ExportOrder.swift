// What is to be exported, and for whom.

import AtRest
package import Base

package struct ExportOrder: Sendable {
  package var export: ExportID
  /// Name of the account, and of the directory in the archive.
  package var accountName: String
  package var createdAt: UnixMicroseconds
  /// Recordings made at or after it, and before `to`.
  package var from: UnixMicroseconds?
  package var to: UnixMicroseconds?
  /// age's X25519 recipients (`age1…`); none: everybody can read the file.
  package var recipients: [String] = []
  /// Leave out the recordings that this export and those before it hold.
  package var previous: ExportID?
  package var partBytes: UInt64?
  /// Recordings that are plain WAV files as FLAC, which decodes to the very same bytes.
  package var asFLAC = false
  /// Hears fractions from 0 to 1.
  package var progress: @Sendable (Double) -> Void = { _ in }
  /// Asked between pieces; when it says so, the export ends with `CancellationError` and leaves nothing.
  package var isCancelled: @Sendable () -> Bool = { false }

  package init(export: ExportID, accountName: String, createdAt: UnixMicroseconds) {
    self.export = export
    self.accountName = accountName
    self.createdAt = createdAt
  }

  static func isSafe(accountName name: String) -> Bool {
    (1...63).contains(name.utf8.count)
      && name.utf8.allSatisfy { (97...122).contains($0) || (48...57).contains($0) || $0 == UInt8(ascii: "-") }
  }

  /// `.refused` with what is wrong with it.
  package func check() throws(BackupError) {
    guard Self.isSafe(accountName: accountName) else {
      throw BackupError(.refused, "an account of that name cannot be exported")
    }
    if let from, let to, from >= to {
      throw BackupError(.refused, "the period ends before it begins: exchange its times")
    }
    guard recipients.count <= Limits.exportRecipientsMax else {
      throw BackupError(.refused, "more than \(Limits.exportRecipientsMax) recipients: name fewer")
    }
    if let partBytes, partBytes < 1 << 20 {
      throw BackupError(.refused, "a part has at least 1 MiB: name a larger size")
    }
    do throws(AtRestError) {
      for recipient in recipients { _ = try AgeEncryptor(recipients: [recipient]) }
    } catch {
      throw BackupError(.refused, "a recipient cannot be used: \(error.message)")
    }
  }
}
