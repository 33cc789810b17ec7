// What a program sends and gets: statements with their values, options, results.

public import Formats

public typealias KomoraValue = AccountValue

public struct KomoraStatement: Sendable, Equatable {
  public var sql: String
  /// For its parameters, by number.
  public var arguments: [KomoraValue]

  public init(_ sql: String, _ arguments: [KomoraValue] = []) {
    self.sql = sql
    self.arguments = arguments
  }
}

/// A place in an account's log: of a reply, and what a later read may ask to see.
public struct KomoraPosition: Sendable, Hashable, Comparable, CustomStringConvertible {
  public var epoch: UInt64
  public var index: UInt64

  public init(epoch: UInt64, index: UInt64) {
    self.epoch = epoch
    self.index = index
  }

  public static func < (a: Self, b: Self) -> Bool { (a.epoch, a.index) < (b.epoch, b.index) }
  /// As `Komora-Position` says it over HTTP.
  public var description: String { "\(epoch).\(index)" }
}

public struct KomoraOptions: Sendable {
  /// From the call on; nil: the configuration's.
  public var deadline: Duration?
  /// 1 to 255 bytes: however often the request is sent, it has one effect and one reply (24 hours).
  public var idempotencyKey: String?
  /// A standby may answer once it shows everything up to here.
  public var atLeast: KomoraPosition?
  /// A standby may answer when it shows everything that is older than this.
  public var staleness: Duration?

  public init(
    deadline: Duration? = nil, idempotencyKey: String? = nil, atLeast: KomoraPosition? = nil,
    staleness: Duration? = nil
  ) {
    self.deadline = deadline
    self.idempotencyKey = idempotencyKey
    self.atLeast = atLeast
    self.staleness = staleness
  }
}

public struct KomoraResult: Sendable {
  public var columns: [String]
  public var rows: [[KomoraValue]]
  public var affectedRows: Int64
  public var lastInsertRowID: Int64?
}

public struct KomoraAnswer: Sendable {
  /// One for each statement.
  public var results: [KomoraResult]
  /// Everything that the statements saw and did lies at or before it.
  public var position: KomoraPosition
}
