// A primary's term: begun only in the life that adopted its epoch, served only after a record of its own is committed,
// ended for good by whatever ends it. Hand-overs and changes of voters are ends that name what comes next.

import Base
import Formats

extension OwnershipMachine {
  /// The control store names this node.
  mutating func takeOffice(_ i: Int, _ record: OwnershipRecord, _ now: Instant) {
    switch shards[i].lead {
    case .starting, .serving, .ending: return
    case .ended: askNewEpoch(i, now)
    case .none:
      let isOurs = shards[i].adoptedInThisLife == record.epoch || configuration.plantedBugs.contains(.continueEpoch)
      guard shards[i].heardEpoch <= record.epoch else { return readAgain(i, now) }
      guard isOurs, !shards[i].isDamaged else {
        // Another life of this node may have used the epoch.
        askNewEpoch(i, now)
        return
      }
      shards[i].lead = .starting(record.epoch, since: now)
      shards[i].helplessSince = nil
      shards[i].attempts = 0
      counters.leadsBegun += 1
      effects.append(.lead(record))
      if configuration.plantedBugs.contains(.skipOwnRecord) { serve(i, record.epoch) }
      nextBeat = min(nextBeat, now)
    }
  }

  private mutating func serve(_ i: Int, _ epoch: Epoch) {
    shards[i].lead = .serving(epoch)
    effects.append(.serving(shards[i].account, epoch))
  }

  mutating func committed(_ i: Int, _ epoch: Epoch, _ now: Instant) {
    if case .starting(epoch, _) = shards[i].lead {
      serve(i, epoch)
      // Voters that have a record of the epoch take the claim; reads wait for that. A few shards may ask together.
      nextBeat = min(nextBeat, now + .milliseconds(5))
    }
    settleVoters(i, epoch, now)
  }

  /// The new voters hold a record of the epoch that named them: the ones before count no more.
  private mutating func settleVoters(_ i: Int, _ epoch: Epoch, _ now: Instant) {
    guard case .serving(epoch) = shards[i].lead, var record = shards[i].record, record.epoch == epoch,
      !record.previous.isEmpty
    else { return }
    record.previous = []
    record.previousGoal = 0
    propose(i, record, now)
  }

  /// With every beat: are there leases, and does the end of a hand-over stay away?
  mutating func watchOwnLead(_ i: Int, _ epoch: Epoch, _ now: Instant) {
    guard let record = shards[i].record, record.epoch == epoch else { return }
    switch shards[i].lead {
    case .starting(_, let since): if now - since > configuration.helplessPatience { giveUp(i, now) }
    case .ending(_, _, let until) where now >= until:
      shards[i].lead = .serving(epoch)
      effects.append(.resumeEpoch(shards[i].account, epoch))
    case .serving:
      settleVoters(i, epoch, now)
      if hasLeases(i, record, epoch, now) {
        shards[i].helplessSince = nil
      } else if let since = shards[i].helplessSince {
        if now - since > configuration.helplessPatience { giveUp(i, now) }
      } else {
        shards[i].helplessSince = now
      }
    case .ending, .ended, .none: break
    }
  }

  /// Never again in this epoch; others are told, and a new epoch is asked for.
  mutating func giveUp(_ i: Int, _ now: Instant) {
    guard let epoch = shards[i].lead.epoch else { return }
    counters.leadsGivenUp += 1
    endLead(i, epoch)
    askNewEpoch(i, now)
  }

  mutating func endLead(_ i: Int, _ epoch: Epoch) {
    shards[i].lead = .ended(epoch)
    shards[i].helplessSince = nil
    effects.append(.stop(shards[i].account, epoch))
  }

  /// Somebody has adopted `epoch`: whatever is older is over.
  mutating func hearEpoch(_ i: Int, _ epoch: Epoch, _ now: Instant) {
    shards[i].heardEpoch = max(shards[i].heardEpoch, epoch)
    if let own = shards[i].lead.epoch, own < epoch { endLead(i, own) }
    if epoch > shards[i].record?.epoch ?? 0 { readAgain(i, now) }
  }

  mutating func handOver(_ i: Int, to successor: NodeID, _ now: Instant) {
    guard case .serving(let epoch) = shards[i].lead, let record = shards[i].record, record.epoch == epoch,
      record.previous.isEmpty, successor != node, record.voterSet.contains(successor), shards[i].request == nil,
      store.isReady
    else { return }
    let until = now + configuration.handOverTimeout
    shards[i].lead = .ending(epoch, to: successor, until: until)
    effects.append(.finishEpoch(shards[i].account, epoch, successor: successor))
    wakeBy(until)
  }

  /// From here on nothing of this epoch is served or acknowledged, whatever becomes of the compare-and-set.
  mutating func epochFinished(_ i: Int, _ epoch: Epoch, _ now: Instant) {
    guard case .ending(epoch, let successor, _) = shards[i].lead, var record = shards[i].record,
      record.epoch == epoch, shards[i].request == nil, store.isReady
    else { return }
    endLead(i, epoch)
    record.epoch += 1
    record.primary = successor
    propose(i, record, now)
    counters.handOvers += 1
  }

  /// This node leads on in a new epoch, in which both sets count until a record of it is committed.
  mutating func changeVoters(_ i: Int, _ set: VoterSet, _ learners: [Voter], _ now: Instant) {
    guard case .serving(let epoch) = shards[i].lead, var record = shards[i].record, record.epoch == epoch,
      record.previous.isEmpty, set.contains(node), set.voters.count <= OwnershipLimits.votersMax,
      learners.count <= OwnershipLimits.learnersMax, set != record.voterSet, shards[i].request == nil, store.isReady
    else { return }
    for voter in set.nodes where !record.voterSet.contains(voter) {
      // Who has acknowledged nothing may have nothing, however short the log: an account that was restored is few
      // records and many bytes. Were the epoch to end before the newcomers have theirs, nobody could give it to them.
      guard let place = shards[i].acknowledged[voter],
        place.index + configuration.learnerLagMax >= shards[i].place.index
      else { return }
    }
    let next = OwnershipRecord(account: record.account, epoch: epoch + 1, voters: set, learners: learners)
    record.previous = record.voters
    record.previousGoal = record.goal
    record.goal = next.goal
    record.voters = next.voters
    record.learners = next.learners
    record.epoch = next.epoch
    record.primary = node
    endLead(i, epoch)
    propose(i, record, now)
    counters.voterChanges += 1
  }

  /// As primary: who has what. As a voter: what primaries tell.
  mutating func noteAcknowledged(_ i: Int, _ places: [NodeID: LogPlace]) {
    for (node, place) in places { noteAcknowledged(i, node, place) }
  }

  mutating func noteAcknowledged(_ i: Int, _ node: NodeID, _ place: LogPlace) {
    shards[i].acknowledged[node] = max(shards[i].acknowledged[node] ?? .start, place)
    if node == self.node { shards[i].place = max(shards[i].place, place) }
  }
}
