// What a verification looked at and what it found.

package import ShardStore

package struct VerifyReport: Sendable {
  package var path: String
  /// Files of Komora that were read.
  package var files = 0
  package var bytes: UInt64 = 0
  /// Chunks, records, entries and other units whose checks were made.
  package var units = 0
  /// How many files of each kind.
  package var kinds: [String: Int] = [:]
  package var findings: [VerifyFinding] = []
  /// What could not be checked, and why.
  package var notes: [String] = []
  /// For each archive the moments that can be restored, by its directory.
  package var restorable: [(archive: String, spans: [MomentSpan])] = []
  /// For each archive whose chunks were opened.
  package var summaries: [VerifySummary] = []
  /// Directories, with a slash at the end, that the store's verifier has read already.
  var covered: [String] = []

  package init(path: String) { self.path = path }

  /// Nothing is lost: what was found, the next start mends.
  package var isSound: Bool { !findings.contains { $0.severity == .damage } }

  func isCovered(_ file: String) -> Bool { covered.contains { file.hasPrefix($0) } }

  mutating func add(_ other: VerifyReport) {
    files += other.files
    bytes += other.bytes + other.summaries.reduce(0) { $0 + $1.bytes }
    units += other.units
    kinds.merge(other.kinds) { $0 + $1 }
    findings += other.findings
    notes += other.notes
    restorable += other.restorable
    summaries += other.summaries
  }

  mutating func damage(_ path: String, at offset: Int, bytes: Int = 0, _ message: String) {
    findings.append(VerifyFinding(.damage, path, at: UInt64(max(offset, 0)), bytes: UInt64(max(bytes, 0)), message))
  }

  mutating func mendable(_ path: String, at offset: Int, bytes: Int = 0, _ message: String) {
    findings.append(VerifyFinding(.mendable, path, at: UInt64(max(offset, 0)), bytes: UInt64(max(bytes, 0)), message))
  }

  mutating func note(_ error: BackupError, in path: String) {
    damage(error.path ?? path, at: error.offset ?? 0, error.message)
  }
}
