// A smoothed round trip and its spread, as TCP computes them (RFC 6298).

package import Base

package struct RoundTrip: Sendable, Equatable {
  package private(set) var smoothed: Interval
  package private(set) var spread: Interval

  init(_ first: Interval) {
    smoothed = first
    spread = first / 2
  }

  mutating func add(_ sample: Interval) {
    let difference = sample - smoothed
    spread = spread + (Interval(nanoseconds: abs(difference.nanoseconds)) - spread) / 4
    smoothed = smoothed + difference / 8
  }

  /// By when nearly every answer has come.
  package var bound: Interval { smoothed + spread * 4 }
}
