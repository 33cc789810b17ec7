// A moment of this machine's monotone clock, in nanoseconds since an origin that only its owner knows.
//
// Time is an argument in every pure module; two instants of different machines mean nothing to each other.

public struct Instant: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  public static func < (a: Instant, b: Instant) -> Bool { a.nanoseconds < b.nanoseconds }
  public static func + (a: Instant, b: Interval) -> Instant { Instant(nanoseconds: a.nanoseconds + b.nanoseconds) }
  public static func - (a: Instant, b: Interval) -> Instant { Instant(nanoseconds: a.nanoseconds - b.nanoseconds) }
  public static func - (a: Instant, b: Instant) -> Interval { Interval(nanoseconds: a.nanoseconds - b.nanoseconds) }

  /// Seconds with milliseconds: `12.345`.
  public var description: String { Interval(nanoseconds: nanoseconds).description }
}

/// A length of time in nanoseconds; integers, so that a seed repeats on every machine.
public struct Interval: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

  public static let zero = Interval(nanoseconds: 0)
  public static func microseconds(_ n: Int) -> Interval { Interval(nanoseconds: Int64(n) * 1000) }
  public static func milliseconds(_ n: Int) -> Interval { Interval(nanoseconds: Int64(n) * 1_000_000) }
  public static func seconds(_ n: Int) -> Interval { Interval(nanoseconds: Int64(n) * 1_000_000_000) }

  public static func < (a: Interval, b: Interval) -> Bool { a.nanoseconds < b.nanoseconds }
  public static func + (a: Interval, b: Interval) -> Interval { Interval(nanoseconds: a.nanoseconds + b.nanoseconds) }
  public static func - (a: Interval, b: Interval) -> Interval { Interval(nanoseconds: a.nanoseconds - b.nanoseconds) }
  public static func * (a: Interval, n: Int) -> Interval { Interval(nanoseconds: a.nanoseconds * Int64(n)) }
  public static func / (a: Interval, n: Int) -> Interval { Interval(nanoseconds: a.nanoseconds / Int64(n)) }

  /// Scaled by thousandths.
  public func permille(_ n: Int) -> Interval { Interval(nanoseconds: nanoseconds / 1000 * Int64(n)) }

  public var milliseconds: Int { Int(nanoseconds / 1_000_000) }
  public var seconds: Int { Int(nanoseconds / 1_000_000_000) }

  public var description: String {
    let total = nanoseconds.magnitude / 1_000_000
    let digits = String(1000 + total % 1000).dropFirst()
    return (nanoseconds < 0 ? "-" : "") + "\(total / 1000).\(digits)"
  }
}
