// How a command ends when it does not succeed: an exit code for scripts, one sentence for people.

package struct CommandFailure: Error, Equatable {
  package enum Kind: Int32 {
    case failed = 1
    case usage = 2
    case notFound = 3
    case refused = 4
    case unavailable = 5
  }

  var kind: Kind
  /// One sentence that says what to do next.
  var message: String

  init(_ kind: Kind, _ message: String) {
    self.kind = kind
    self.message = message
  }

  /// Which kind an HTTP status is.
  package static func kind(status: Int) -> Kind {
    switch status {
    case 400, 405, 411, 413, 415, 422: .usage
    case 401, 403, 409, 412, 423: .refused
    case 404, 410: .notFound
    case 408, 421, 429, 502, 503, 504: .unavailable
    default: .failed
    }
  }
}
