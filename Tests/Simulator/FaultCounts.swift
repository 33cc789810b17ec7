// How often each fault of a simulated disk took effect: a run in which one of them never did has proven nothing of it.

public struct FaultCounts: Sendable, Equatable, CustomStringConvertible {
  public var crashes = 0
  /// Unsynced writes by what a crash made of them.
  public var keptWrites = 0
  public var lostWrites = 0
  public var tornWrites = 0
  /// Writes that were kept, whole or in part, though an earlier one to the same file was lost.
  public var reorderedWrites = 0
  public var forgottenLengths = 0
  /// Names created, renamed or removed without a directory sync, by what a crash made of them.
  public var keptNames = 0
  public var forgottenNames = 0
  public var failedSyncs = 0
  /// Changes that a failed sync took from what later syncs make durable.
  public var droppedChanges = 0
  public var failedWrites = 0
  public var fullWrites = 0
  public var otherFailures = 0
  public var flips = 0

  public init() {}

  mutating func note(kept: [Range<Int>], of sectors: Range<Int>, afterLost: Bool) {
    if kept.isEmpty {
      lostWrites += 1
      return
    }
    if kept.reduce(0, { $0 + $1.count }) == sectors.count { keptWrites += 1 } else { tornWrites += 1 }
    if afterLost { reorderedWrites += 1 }
  }

  public static func + (a: FaultCounts, b: FaultCounts) -> FaultCounts {
    var sum = a
    for field in fields { sum[keyPath: field.path] += b[keyPath: field.path] }
    return sum
  }

  public var description: String {
    Self.fields.map { "\($0.name) \(self[keyPath: $0.path])" }.joined(separator: ", ")
  }

  private static var fields: [(name: String, path: WritableKeyPath<FaultCounts, Int>)] {
    [
      ("crashes", \.crashes), ("kept", \.keptWrites), ("lost", \.lostWrites), ("torn", \.tornWrites),
      ("reordered", \.reorderedWrites), ("forgotten lengths", \.forgottenLengths), ("kept names", \.keptNames),
      ("forgotten names", \.forgottenNames), ("failed syncs", \.failedSyncs), ("dropped", \.droppedChanges),
      ("failed writes", \.failedWrites), ("full", \.fullWrites), ("other failures", \.otherFailures),
      ("flips", \.flips),
    ]
  }
}
