// What can go wrong with a control store. `busy` may be tried again; everything else stays wrong until somebody acts.

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
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }
}
