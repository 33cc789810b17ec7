// The last steps of something, so that a failure can be told with what led to it. Bounded; no step is copied twice.

public struct FlightRecorder<Step: Sendable>: Sendable {
  private var ring: [Step] = []
  private var oldest = 0
  private let kept: Int

  /// Keeps the last `kept` steps, at least one.
  public init(keeping kept: Int) {
    precondition(kept > 0, "a recorder keeps something")
    self.kept = kept
  }

  /// Oldest first.
  public var steps: [Step] { Array(ring[oldest...] + ring[..<oldest]) }

  public mutating func record(_ step: Step) {
    if ring.count < kept {
      ring.append(step)
    } else {
      ring[oldest] = step
      oldest = (oldest + 1) % kept
    }
  }
}
