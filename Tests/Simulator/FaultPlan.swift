// Finds the n-th operation of some kinds and lets one fault happen there; counts every operation that it sees.
//
// A driver runs its story with n = 1, 2, 3 … until `fired` stays false: then every place has had its turn. The counts
// say what there was, by kind and class of path, so that a story without the operation in question shows.

internal import Disk
internal import Threads

public final class FaultPlan: Sendable {
  private struct State {
    var matching = 0
    var fired = 0
    var seen: [String: Int] = [:]
  }

  private let state = Lock(State())
  private let kinds: Set<DiskOperation.Kind>
  private let nth: Int
  private let times: Int
  private let fault: DiskFault
  private let matches: @Sendable (String) -> Bool
  private let pathClass: @Sendable (String) -> String

  /// The fault happens at the `nth` operation among `kinds` whose path `matches`, and at `times - 1` after it.
  public init(
    _ fault: DiskFault, at nth: Int, of kinds: Set<DiskOperation.Kind>, times: Int = 1,
    matches: @escaping @Sendable (String) -> Bool = { _ in true },
    pathClass: @escaping @Sendable (String) -> String = FaultPlan.fileExtension
  ) {
    self.fault = fault
    self.kinds = kinds
    self.nth = nth
    self.times = times
    self.matches = matches
    self.pathClass = pathClass
  }

  /// Counts and never fails.
  public static func counting(
    pathClass: @escaping @Sendable (String) -> String = FaultPlan.fileExtension
  ) -> FaultPlan {
    FaultPlan(.proceed, at: 0, of: [], pathClass: pathClass)
  }

  public func decide(_ operation: DiskOperation) -> DiskFault {
    let matching = kinds.contains(operation.kind) && matches(operation.path)
    let key = "\(operation.kind.rawValue) \(pathClass(operation.path))"
    return state.with { s in
      s.seen[key, default: 0] += 1
      guard matching else { return .proceed }
      s.matching += 1
      guard s.matching >= nth, s.matching - nth < times else { return .proceed }
      s.fired += 1
      return fault
    }
  }

  /// Whether the fault happened: false means that the story has fewer than n such operations.
  public var fired: Bool { state.with { $0.fired > 0 } }

  /// Operations of the kinds and paths in question so far.
  public var matching: Int { state.with { $0.matching } }

  /// Lines such as `sync log: 12`, sorted.
  public var listing: [String] {
    state.with { s in s.seen.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" } }
  }

  /// What follows the last dot of a file's name, else the name itself.
  @Sendable public static func fileExtension(_ path: String) -> String {
    let name = path.split(separator: "/").last ?? ""
    return name.split(separator: ".").last.map(String.init) ?? ""
  }
}
