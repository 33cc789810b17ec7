// What placement and operators want of a shard that this node leads: another primary, other voters, learners.

package import Base
import Control
package import Formats

extension ShardService {
  private static let commandTimeout = Duration.seconds(5)

  /// Gives the lead of the account to a voter, which takes over where this node ends; requests in flight wait for it.
  /// Returns when that voter is named. Nothing is changed when it throws, unless it says that this is not known.
  package func handOver(_ account: AccountID, to successor: NodeID) async throws(NodeError) {
    let epoch = try led(account)
    guard table.record(account)?.voterSet.contains(successor) == true, successor != setup.node else {
      throw NodeError(.refused, "the account can only be handed to another one of its voters")
    }
    step(.handOver(account, to: successor))
    guard ownership.machine.writableEpoch(account) != epoch else {
      throw NodeError(.unavailable, "the account cannot be handed over at this moment: try again")
    }
    await outcome(account, epoch)
    guard table.record(account)?.primary == successor else {
      throw NodeError(.unavailable, "the account was not handed over: \(summary(account))")
    }
  }

  /// Leads on with other voters, and with these learners. Returns when the change is made, which counts once a record of
  /// the new epoch is on a write set of both sets of voters (`ShardPlacement.isChanging` until then).
  package func changeVoters(_ account: AccountID, to set: VoterSet, learners: [Voter]) async throws(NodeError) {
    let epoch = try led(account)
    let replica = replica(account)
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      inTurn(replica, .pause(epoch, then: { continuation.resume() }))
    }
    guard replica.paused == epoch, ownership.machine.servingEpoch(account) == epoch else {
      throw NodeError(.unavailable, "the account changed hands: try again")
    }
    step(.changeVoters(account, set, learners: learners))
    if ownership.machine.servingEpoch(account) == epoch {
      inTurn(replica, .resume(epoch))
      throw NodeError(.unavailable, "these voters cannot take over yet: \(summary(account))")
    }
    await outcome(account, epoch)
    guard let record = table.record(account), record.voterSet == set else {
      throw NodeError(.unavailable, "the voters were not changed: \(summary(account))")
    }
  }

  private func led(_ account: AccountID) throws(NodeError) -> Epoch {
    guard let epoch = ownership.machine.writableEpoch(account) else {
      throw NodeError(.elsewhere, "this node does not lead the account at this moment")
    }
    return epoch
  }

  /// Waits until the next word about the shard: its epoch is over, or goes on.
  private func outcome(_ account: AccountID, _ epoch: Epoch) async {
    guard table.record(account)?.epoch == epoch, ownership.machine.writableEpoch(account) != epoch else { return }
    nextEnding += 1
    let number = nextEnding
    let alarm = Task {
      try? await Task.sleep(for: Self.commandTimeout)
      self.giveUpEnding(account, number)
    }
    defer { alarm.cancel() }
    await withCheckedContinuation { endings[account, default: []].append((number, $0)) }
  }

  private func giveUpEnding(_ account: AccountID, _ number: Int) {
    guard let i = endings[account]?.firstIndex(where: { $0.number == number }) else { return }
    endings[account]!.remove(at: i).continuation.resume()
  }

  func tellEnding(_ account: AccountID) {
    for waiter in endings.removeValue(forKey: account) ?? [] { waiter.continuation.resume() }
  }
}
