// What libuv refused, with its own code's name so that a person can look it up.

internal import CLibuv

package struct UVError: Error, Equatable, CustomStringConvertible {
  package enum Code: Sendable {
    /// The address is in use, not ours, or not allowed.
    case address
    /// Nobody listens there.
    case refused
    /// The peer cut the connection, or it timed out.
    case reset
    /// No route, or the network is down.
    case unreachable
    /// Out of descriptors, buffers or memory: worth another try later.
    case exhausted
    /// The loop is stopping, or the handle was closed from this side.
    case closed
    case other
  }

  package var code: Code
  /// What was tried.
  package var operation: String
  /// libuv's name of the error, such as `ECONNREFUSED`.
  package var name: String

  package init(_ code: Code, _ operation: String, name: String) {
    self.code = code
    self.operation = operation
    self.name = name
  }

  init(_ status: Int32, _ operation: String) {
    let name = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      String(cString: uv_err_name_r(status, buffer.baseAddress, buffer.count))
    }
    self.init(Self.codes[name] ?? .other, operation, name: name)
  }

  static func closed(_ operation: String) -> UVError { UVError(.closed, operation, name: "ECANCELED") }

  private static let codes: [String: Code] = [
    "EADDRINUSE": .address, "EADDRNOTAVAIL": .address, "EACCES": .address, "EINVAL": .address,
    "ECONNREFUSED": .refused, "ECONNRESET": .reset, "EPIPE": .reset, "ETIMEDOUT": .reset, "ECONNABORTED": .reset,
    "EHOSTUNREACH": .unreachable, "ENETUNREACH": .unreachable, "ENETDOWN": .unreachable,
    "EMFILE": .exhausted, "ENFILE": .exhausted, "ENOBUFS": .exhausted, "ENOMEM": .exhausted,
    "ECANCELED": .closed,
  ]

  package var description: String { "\(operation): \(name)" }
}

/// Turns a negative status into an error.
func check(_ status: Int32, _ operation: String) throws(UVError) {
  if status < 0 { throw UVError(status, operation) }
}
