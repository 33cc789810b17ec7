// What can go wrong with a control store. `busy` and `unavailable` may be tried again, `unknown` after a look;
// everything else stays wrong until somebody acts.

package struct ControlStoreError: Error, Sendable, CustomStringConvertible {
  package enum Code: Sendable, Equatable {
    /// Another process holds the store.
    case busy
    /// The store was sealed under another key-encryption key.
    case wrongKey
    /// The file, or a value in it, is not what was written.
    case damaged
    /// A key or a value is outside the limits.
    case invalid
    case io
    /// Nobody answered, or there is no quorum; nothing was changed.
    case unavailable
    /// The answer to a transaction was lost: it may have been made.
    case unknown
    /// What was to be watched is forgotten, by the store or by the buffer of a reader that did not keep up: read the
    /// range, watch from there.
    case compacted
    case leaseExpired
    /// The store does not take us, or not here: certificates that do not fit, a file whose content was moved to another
    /// store, a target that holds another cluster's data.
    case refused
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }
}
