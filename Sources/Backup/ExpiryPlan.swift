// What of an archive may go because the window has moved on: pure, from the map of its moments.
//
// The base is the newest proven snapshot whose state is not younger than the window's border: it and the log behind it
// give back every moment inside. Snapshots before it go when they were made before the border as well, so that an account
// in which nothing happens keeps its days' snapshots. Runs of the log go when no snapshot that stays needs them.

import Base
import Formats

struct ExpiryPlan: Sendable {
  /// Moments from here on are promised.
  let border: UnixMicroseconds
  let base: SnapshotInfo
  /// To go, the oldest first.
  let snapshots: [SnapshotInfo]
  let runs: [LogRun]
  let keptSnapshots: [SnapshotInfo]
  let keptRuns: [LogRun]
  /// What is promised and can be restored before anything goes.
  let promised: [MomentSpan]

  /// Nil when nothing may go.
  init?(
    _ map: MomentMap, snapshots: [SnapshotInfo], runs: [LogRun], border: UnixMicroseconds
  ) {
    let bases = map.chains.flatMap(\.bases)
    let times = Dictionary(bases.map { ($0.snapshot.id, $0.time) }) { a, b in max(a, b) }
    func isOld(_ snapshot: SnapshotInfo) -> Bool { times[snapshot.id].map { $0 <= border } ?? false }
    guard let base = snapshots.last(where: { $0.state == .proven && isOld($0) }) else { return nil }
    let before = snapshots.prefix { $0.id != base.id }
    let going = before.filter { isOld($0) && $0.createdAt < border && $0.position.index <= base.position.index }
    let gone = Set(going.map(\.id))
    let kept = snapshots.filter { !gone.contains($0.id) }
    let needed = kept.map(\.position.index).min() ?? base.position.index
    // Not the one that ends with the base's record: it tells that record's time.
    let goingRuns = runs.filter { $0.header.last < needed && $0.header.lastTime <= border }
    guard !going.isEmpty || !goingRuns.isEmpty else { return nil }
    let paths = Set(goingRuns.map(\.path))
    self.border = border
    self.base = base
    self.snapshots = going
    self.runs = goingRuns
    keptSnapshots = kept
    keptRuns = runs.filter { !paths.contains($0.path) }
    promised = Self.inside(map.spans, from: border)
  }

  /// What `spans` has from `border` on.
  static func inside(_ spans: [MomentSpan], from border: UnixMicroseconds) -> [MomentSpan] {
    MomentVerifier.joined(
      spans.filter { $0.through >= border }.map { MomentSpan(from: max($0.from, border), through: $0.through) })
  }
}
