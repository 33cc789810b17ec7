// Why a request gave nothing, and whether it may have been applied all the same.

public struct KomoraError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Code: Sendable, Hashable {
    /// The configuration cannot be used.
    case invalid
    /// The token does not hold.
    case unauthorized
    /// The token does not open the account, or there is none.
    case notFound
    /// The statement, or a limit that it meets; `name` says which.
    case refused
    /// No node answered for the account in time. Nothing was applied.
    case unavailable
    /// The answer was lost, or its time was over: the request may have been applied.
    case unknown
    /// The client was closed.
    case closed
  }

  public var code: Code
  public var message: String
  /// SQLite's name of the error, or Komora's; empty where neither spoke.
  public var name: String

  public init(_ code: Code, _ message: String, name: String = "") {
    self.code = code
    self.message = message
    self.name = name
  }

  /// False only when it is certain that nothing was applied.
  public var mayBeApplied: Bool { code == .unknown }

  public var description: String { message }
}
