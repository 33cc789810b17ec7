// All checkers of ownership. They see what a node sends, stores, publishes and answers, what the control store decided,
// and the disks; never the inside of the machine under test.

import Base
import Control
import Formats

final class OwnershipCheckers {
  var primaries = PrimaryChecker()
  var lives: EpochLifeChecker
  var names: RecordNameChecker
  var acknowledged: AcknowledgedChecker
  var promises: PromiseChecker
  var replicas: ReplicaChecker
  var publishing: PublishChecker
  var decisions: DecisionChecker
  var exclusive = ExclusiveServiceChecker()
  var matching: LogMatchingChecker
  var groups = GroupChecker()

  init(shards: Int, nodes: Int) {
    lives = EpochLifeChecker()
    names = RecordNameChecker(shards: shards)
    acknowledged = AcknowledgedChecker(shards: shards)
    promises = PromiseChecker(shards: shards, nodes: nodes)
    replicas = ReplicaChecker(shards: shards)
    publishing = PublishChecker(shards: shards)
    decisions = DecisionChecker(shards: shards)
    matching = LogMatchingChecker(shards: shards)
  }

  /// A message leaves a node.
  func sent(_ number: Int, _ bytes: [UInt8], _ world: ClusterWorld) throws(Violation) {
    guard let message = try? OwnershipMessage(bytes) else {
      throw Violation(checker: "ownership messages", message: "\(number) sent what cannot be read")
    }
    guard case .reports(let reports) = message, let ownership = world.ownership else { return }
    for report in reports {
      guard let shard = ownership.shardNumbers[report.claim.account] else { continue }
      let owner = ownership.owners[number]
      try promises.reported(number, shard, report, disk: owner.promises[shard], log: owner.replicas[shard].log)
    }
  }

  /// A replica says how far it is.
  func sent(
    _ number: Int, _ shard: Int, _ message: ReplicationMessage, _ owner: SimulatedOwner
  ) throws(Violation) {
    guard case .ack(let ack) = message else { return }
    try promises.acknowledged(number, shard, ack.epoch)
    try AcknowledgementChecker.check(number, shard, ack, owner.replicas[shard])
  }
}
