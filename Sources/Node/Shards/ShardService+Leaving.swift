// Before a node stops, or when it is not well: what it leads is handed to others.

package import Base
import Control
import Formats
import Logging
import Replication

extension ShardService {
  private static let handOversAtOnce = 32

  /// Hands over what this node leads, as far as another voter can take it. Returns how many it still leads.
  @discardableResult
  package func handOverAll(within limit: Duration) async -> Int {
    let end = ContinuousClock.now + limit
    var tried: [AccountID: Int] = [:]
    while ContinuousClock.now < end {
      let led = replicas.values.filter { replica in
        ownership.machine.writableEpoch(replica.account) != nil && tried[replica.account, default: 0] < 3
          && successor(of: replica) != nil
      }.map(\.account).prefix(Self.handOversAtOnce)
      guard !led.isEmpty else { break }
      await withTaskGroup(of: Void.self) { group in
        for account in led {
          tried[account, default: 0] += 1
          guard let next = replicas[account].flatMap({ successor(of: $0) }) else { continue }
          group.addTask { try? await self.handOver(account, to: next) }
        }
      }
    }
    let left = replicas.keys.count { ownership.machine.leadingEpoch($0) != nil }
    if left > 0 { logger.notice("some accounts have no other voter to lead them", metadata: ["count": "\(left)"]) }
    return left
  }

  /// The voter that has most of the log, among those that can be reached; of equal ones the one that is nearest.
  private func successor(of replica: ShardReplica) -> NodeID? {
    guard let record = replica.record, record.previous.isEmpty, let machine = replica.driver?.machine else {
      return nil
    }
    let lags = machine.lags
    let region = record.voters.first { $0.node == setup.node }?.region
    let others = record.voters.filter { $0.node != setup.node && linesUp.contains($0.node) }
    return others.min { a, b in
      let x = (lags[a.node] ?? .max, a.region == region ? 0 : 1)
      let y = (lags[b.node] ?? .max, b.region == region ? 0 : 1)
      return x == y ? a.node < b.node : x < y
    }?.node
  }

  /// As primary: records that each replica's disk lacks.
  package func lags(_ account: AccountID) -> [NodeID: LogIndex] { replicas[account]?.driver?.machine.lags ?? [:] }
}
