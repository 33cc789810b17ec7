// A voter's way into an epoch. From the moment it hears of it, it grants and acknowledges nothing older. It reports only
// after the lease that it granted is over and the epoch is on its disk.
//
// An epoch that already has a primary needs no waiting: those who named it have waited, and the old primary cannot get a
// write set of leases without them; or the old primary ended its own epoch in order to hand over.

import Base
import Formats

extension OwnershipMachine {
  mutating func beginAdoption(_ i: Int, _ epoch: Epoch, _ now: Instant) {
    let account = shards[i].account
    for holder in shards[i].grants.keys.sorted() {
      let p = peerPlace(of: holder)
      shards[i].grantEnd = max(shards[i].grantEnd, peers[p].grantUntil)
      peers[p].end(OwnershipClaim(account: account, epoch: epoch))
    }
    shards[i].grants = [:]
    shards[i].reports = [:]
    shards[i].promotableSince = nil
    shards[i].vote = .adopting(epoch, place: nil, isAsked: false)
    effects.append(.fence(account, epoch))
  }

  mutating func fenced(_ i: Int, _ epoch: Epoch, _ place: LogPlace, _ now: Instant) {
    shards[i].place = max(shards[i].place, place)
    if !shards[i].isExamined {
      shards[i].isExamined = true
      if place < shards[i].promise.floor, !configuration.plantedBugs.contains(.ignoreDamage) {
        shards[i].isDamaged = true
        effects.append(.damaged(shards[i].account))
      }
      // What was adopted in an earlier life is followed on.
      if shards[i].vote == .settled(epoch), epoch > 0, !shards[i].isDamaged { follow(i, epoch) }
    }
    if shards[i].vote == .settled(epoch), !shards[i].isDamaged {
      // Adopted in an earlier life, which had waited: the report is still owed.
      shards[i].reports[node] = OwnedShard.ReportHeard(epoch: epoch, place: place, hears: false, at: now)
    }
    if case .adopting(epoch, nil, _) = shards[i].vote {
      shards[i].vote = .adopting(epoch, place: place, isAsked: false)
    }
    advance(i, now)
  }

  mutating func advanceAdoption(_ i: Int, _ record: OwnershipRecord, _ now: Instant) {
    guard case .adopting(let epoch, let place?, false) = shards[i].vote, epoch == record.epoch,
      !shards[i].isDamaged
    else { return }
    guard now >= bindingUntil else { return wakeBy(bindingUntil) }
    if record.primary == nil, now < shards[i].grantEnd, !configuration.plantedBugs.contains(.adoptEarly) {
      return wakeBy(shards[i].grantEnd)
    }
    shards[i].vote = .adopting(epoch, place: place, isAsked: true)
    let floor = max(shards[i].promise.floor, place)
    persist(i, OwnershipPromise(account: shards[i].account, epoch: epoch, floor: floor))
    if configuration.plantedBugs.contains(.useBeforePersisted) { settle(i, now) }
  }

  private mutating func persist(_ i: Int, _ promise: OwnershipPromise) {
    shards[i].asked = promise
    effects.append(.persist(promise))
  }

  mutating func persisted(_ promise: OwnershipPromise, _ now: Instant) {
    guard let i = shardPlaces[promise.account] else { return }
    if shards[i].asked == promise { shards[i].asked = nil }
    guard (promise.epoch, promise.floor) > (shards[i].promise.epoch, shards[i].promise.floor) else { return }
    let isNewFloor = shards[i].promise.epoch == promise.epoch
    shards[i].promise = promise
    if isNewFloor {
      if shards[i].vote == .settled(promise.epoch) {
        effects.append(.acknowledge(promise.account, promise.epoch))
      }
    } else {
      settle(i, now)
    }
  }

  private mutating func settle(_ i: Int, _ now: Instant) {
    guard case .adopting(let epoch, let place?, true) = shards[i].vote else { return }
    let isEarly = configuration.plantedBugs.contains(.useBeforePersisted)
    guard shards[i].promise.epoch == epoch || isEarly else { return }
    if isEarly { shards[i].promise.epoch = epoch }
    shards[i].vote = .settled(epoch)
    shards[i].adoptedInThisLife = epoch
    counters.epochsAdopted += 1
    shards[i].reports[node] = OwnedShard.ReportHeard(epoch: epoch, place: place, hears: false, at: now)
    follow(i, epoch)
    if let record = shards[i].record, record.primary == nil { report(i, record, now) }
    advance(i, now)
  }

  /// A log that never had a record, for all that the disk knows, waits with its first acknowledgement.
  private mutating func follow(_ i: Int, _ epoch: Epoch) {
    effects.append(.follow(shards[i].account, epoch))
    if shards[i].promise.floor > .start { effects.append(.acknowledge(shards[i].account, epoch)) }
  }

  /// The first record ever is synced: remember on the disk that there was one, before it is acknowledged, so that a log
  /// which was emptied is known for what it is. Later the floor follows with each epoch.
  mutating func synced(_ i: Int, _ place: LogPlace) {
    shards[i].place = max(shards[i].place, place)
    guard case .settled(let epoch) = shards[i].vote, epoch == shards[i].promise.epoch, shards[i].asked == nil,
      shards[i].record?.counts(node) == true
    else { return }
    let floor = shards[i].promise.floor
    guard floor == .start || floor.epoch < place.epoch && place.epoch == epoch else { return }
    persist(i, OwnershipPromise(account: shards[i].account, epoch: epoch, floor: max(floor, place)))
  }

  /// Only while it does not vote.
  mutating func rebuilt(_ i: Int, _ place: LogPlace) {
    guard shards[i].isDamaged, shards[i].record?.counts(node) != true, place >= shards[i].promise.floor else { return }
    shards[i].isDamaged = false
    shards[i].place = place
  }
}
