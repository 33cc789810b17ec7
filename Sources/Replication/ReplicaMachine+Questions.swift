// What readers, status pages and tests ask. None of these changes anything.

package import Base
import Formats

extension ReplicaMachine {
  /// Published.
  package var committed: Position { log.committed }
  package var synced: Position { log.synced }
  /// The last record handed to the local log.
  package var end: Position { log.end }
  /// The epoch that this node leads, or is finishing.
  package var leading: Epoch? { lead?.epoch }
  /// The epoch whose records may be stored here.
  package var following: Epoch? { follow?.epoch }

  /// As primary: records by which each replica's disk is behind; none of a replica that has told of nothing yet.
  package var lags: [NodeID: LogIndex] {
    guard lead != nil else { return [:] }
    let known = peers.filter { $0.match.index > 0 }
    return Dictionary(uniqueKeysWithValues: known.map { ($0.node, log.end.index - min($0.match.index, log.end.index)) })
  }

  /// One line for status pages and traces.
  package var summary: String {
    let office =
      lead.map { "leads @\($0.epoch)" } ?? follow.map {
        "follows @\($0.epoch) matched \($0.matched.map { "\($0)" } ?? "-")"
      }
      ?? "idle"
    let others = peers.map { "\($0.node.shortName) \($0.isUp ? "\($0.phase)" : "down") \($0.match)" }
    return "\(isDamaged ? "damaged, " : "")\(office), end \(end), synced \(synced), committed \(committed), "
      + "waits \(log.intake.count)\(log.cutting.map { ", cutting \($0)" } ?? "")"
      + (lead == nil ? "" : ", " + others.joined(separator: ", "))
  }
}
