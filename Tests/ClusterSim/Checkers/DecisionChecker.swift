// Nobody leads whom the control store did not name, so nobody new while it is away; and it never goes back.

import Base
import Control
import Formats

struct DecisionChecker {
  /// Of each shard, every record that was decided, in order.
  private var records: [[OwnershipRecord]]

  init(shards: Int) { records = Array(repeating: [], count: shards) }

  mutating func decided(_ shard: Int, _ record: OwnershipRecord) throws(Violation) {
    if let last = records[shard].last {
      let isNext =
        record.epoch == last.epoch + 1
        || record.epoch == last.epoch && (last.primary == nil || last.primary == record.primary)
      guard isNext else {
        throw Violation(checker: "decisions", message: "shard \(shard) goes from \(last) to \(record)")
      }
      guard last.previous.isEmpty || record.previous == last.previous || record.epoch == last.epoch else {
        throw Violation(checker: "decisions", message: "a second change of voters before the first is over: \(record)")
      }
    }
    records[shard].append(record)
  }

  func began(_ shard: Int, _ epoch: Epoch, _ node: NodeID, _ number: Int) throws(Violation) {
    guard records[shard].contains(where: { $0.epoch == epoch && $0.primary == node }) else {
      throw Violation(
        checker: "decisions", message: "\(number) leads epoch \(epoch) of shard \(shard), which nobody decided")
    }
  }

  /// Who must have synced a record of this epoch: both sets, until the store says that the change is over.
  func isWriteSet(_ shard: Int, _ epoch: Epoch, _ nodes: Set<NodeID>) -> Bool {
    guard let last = records[shard].last(where: { $0.epoch == epoch }) else { return false }
    return last.voterSet.isWriteSet(nodes) && last.previousSet?.isWriteSet(nodes) != false
  }
}
