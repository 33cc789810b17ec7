// The name under which a stream waits for its next request: good once, and only for the credential that got it.
//
// It says which process has the stream. A stream that holds nothing but the last row id can go on anywhere: its baton
// brings that number along, so that it survives a failover. One with a transaction, temporary objects or stored texts
// ends with its process, and whoever continues it elsewhere hears that nothing of it was applied.

import Base
import OpenSSL

package struct Baton: Sendable, Equatable {
  /// Of the process that made it.
  package let owner: UInt64
  /// What goes along; nil for a stream that cannot go anywhere else.
  package let lastInsertRowID: Int64?
  private let secret: String

  package init(owner: UInt64, lastInsertRowID: Int64?) {
    self.owner = owner
    self.lastInsertRowID = lastInsertRowID
    secret = SystemRandom.bytes(32).hex
  }

  package init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard text.utf8.count <= 160, parts.count == 3, let owner = UInt64(parts[0], radix: 16), parts[2].utf8.count == 64
    else { return nil }
    if parts[1].isEmpty {
      lastInsertRowID = nil
    } else {
      guard let number = Int64(parts[1]) else { return nil }
      lastInsertRowID = number
    }
    self.owner = owner
    secret = String(parts[2])
  }

  package var text: String {
    "\(String(owner, radix: 16)).\(lastInsertRowID.map { String($0) } ?? "").\(secret)"
  }
}
