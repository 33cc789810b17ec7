// A broken invariant: which, and how it showed.

package struct Violation: Error, Sendable, CustomStringConvertible {
  package var checker: String
  package var message: String

  package var description: String { "\(checker): \(message)" }
}
