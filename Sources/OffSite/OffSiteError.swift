// What can go wrong with a copy elsewhere: one type, a code to act on, a sentence to read.

package struct OffSiteError: Error, Sendable, CustomStringConvertible {
  package enum Code: Sendable, Equatable {
    /// The target is not described well.
    case invalid
    /// A rule of ours forbids the target.
    case forbidden
    /// The storage does not know bucket, object or upload.
    case notFound
    /// The storage refuses: keys, rights, a lock on the object.
    case denied
    /// It does not answer, or not now; worth another try.
    case unavailable
    /// What it gives is not what was put there.
    case damaged
    /// Our own disk.
    case local
  }

  package var code: Code
  package var message: String

  package init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  package var description: String { message }
}
