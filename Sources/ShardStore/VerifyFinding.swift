// One thing that a verification found: where it lies and what it means.

package struct VerifyFinding: Sendable, Equatable, CustomStringConvertible {
  package enum Severity: Sendable {
    /// Bytes are not what was written, and nothing else on this node has them.
    case damage
    /// Not as it should be, but the next start does without it or mends it: a slot whose twin is whole, bytes that a
    /// crash left behind the last whole record and that nobody was told about.
    case mendable
  }

  package var severity: Severity
  package var path: String
  /// Where the damaged unit begins: a page, a record, a block, a chunk, or a whole small file.
  package var offset: UInt64
  /// Bytes of the unit; 0 when it is missing.
  package var bytes: UInt64
  package var message: String

  package init(_ severity: Severity, _ path: String, at offset: UInt64, bytes: UInt64, _ message: String) {
    self.severity = severity
    self.path = path
    self.offset = offset
    self.bytes = bytes
    self.message = message
  }

  package var description: String { "\(path) at byte \(offset): \(message)" }
}
