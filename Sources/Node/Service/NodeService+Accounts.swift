// Making, showing and deleting accounts.
//
// Making one: its record as `creating`, its shard, in a cluster with the record of its owners, then `active`. Deleting
// one: its record as `deleting` together with the removal of its keys and owners, its shard, which each node removes that
// has it, then a `deleted` record that names the archive until the retention ends. A start of the node finishes whatever
// lies between; a deletion that was broken off goes on with the schedule, too.

package import Base
import Control
import ControlStores
import Formats
import Logging
import ShardStore
import Threads

extension NodeService {
  package func createAccount(
    name: String, _ options: AccountOptions = AccountOptions()
  ) async throws(NodeError) -> AccountRecord {
    try AccountName.check(name)
    try options.check()
    guard let cluster else {
      return try await createAccountHere(name: name, options, VoterSet(goal: .none, voters: []))
    }
    let choice = try await cluster.place(options)
    let rules = cluster.rules(options, home: nil, await cluster.placementNodes())
    let set = VoterSet(goal: choice.voters.count == 1 ? .none : rules.goal, voters: choice.voters)
    guard choice.primary != nodeID, let other = control.view.with({ $0[choice.primary]?.record }) else {
      return try await createAccountHere(name: name, options, set)
    }
    return try await createAccount(name: name, options, set, on: other)
  }

  /// On this node, whatever placement would say, with these voters.
  func createAccountHere(
    name: String, _ options: AccountOptions, _ voters: VoterSet
  ) async throws(NodeError) -> AccountRecord {
    let record = try await reserve(name: name, options, as: .creating)
    do {
      try await engine.createAccount(record.id)
      if cluster != nil { try await beginShard(record.id, voters) }
      let made = try await setState(record.id, .active)
      return control.view.with { $0.shown(made) }
    } catch {
      let failure = NodeError(describing: error)
      try? await forget(record.id)
      try? await engine.removeAccount(record.id)
      throw failure
    }
  }

  package func account(named name: String) throws(NodeError) -> AccountRecord {
    guard let record = control.view.with({ view in view[name: name].map { view.shown($0.record) } }) else {
      throw NodeError(.notFound, "there is no account of that name: see `komora account list`")
    }
    return record
  }

  package func account(_ id: AccountID) -> AccountRecord? {
    control.view.with { view in view[id].map { view.shown($0.record) } }
  }

  /// By name; without deleted ones.
  package func accounts() -> [AccountRecord] {
    control.view.with { view in view.accounts.values.map { view.shown($0.record) } }.filter { $0.state != .deleted }
      .sorted { $0.name < $1.name }
  }

  /// With the position that was published last.
  package func status(ofAccount name: String) async throws(NodeError) -> AccountStatus {
    let record = try account(named: name)
    if let cluster, record.isActive { return await status(of: record, in: cluster) }
    guard record.isActive else {
      return AccountStatus(record: record, primary: configuration.name, standbys: [], position: .start)
    }
    do {
      let answer = try await engine.read(record.id) { _ in 0 }
      return AccountStatus(record: record, primary: configuration.name, standbys: [], position: answer.position)
    } catch {
      throw NodeError(describing: error)
    }
  }

  /// Its keys end at once. Its archive stays for the retention and can be restored under a name.
  package func deleteAccount(named name: String) async throws(NodeError) {
    let record = try account(named: name)
    guard record.state == .active || record.state == .deleting else {
      throw NodeError(.refused, "the account is being made or restored: wait for that to end")
    }
    try await beginDeletion(record.id)
    // Its last minute can be restored as well. That it cannot be archived is no reason to keep what shall go.
    _ = try? await backups.archiveLog(record.id)
    try await finishDeletion(record.id)
  }

  func finishDeletion(_ id: AccountID) async throws(NodeError) {
    do {
      try await engine.removeAccount(id)
    } catch let error as StoreError where error.code == .notFound {
      // A deletion that was interrupted behind this step.
    } catch {
      throw NodeError(describing: error)
    }
    let now = clock.now
    try await control.change { view throws(NodeError) in
      // Somebody else may have finished it meanwhile.
      guard let account = view[id], account.record.state == .deleting else {
        return PlannedChange(changes: [], value: ())
      }
      var changed = account.record
      (changed.state, changed.deletedAt) = (.deleted, now)
      let key = ControlKeys.account(id)
      return PlannedChange(
        conditions: [ControlCondition(key, at: account.revision)],
        changes: [.put(key, try ControlKeys.encode(StoredAccount(changed)))], value: ())
    }
  }

  /// Goes on with deletions that were broken off, by a control store that was away for example. Each node does so for
  /// what it made itself, and for what nodes made that are gone; twice does no harm.
  func finishDeletions() async {
    let left = control.view.with { view in
      view.accounts.values.map(\.record).filter { record in
        record.state == .deleting
          && (isHere(record) || (record.primary.flatMap { view[$0]?.record.state } ?? .removed) == .removed)
      }
    }
    for record in left {
      do throws(NodeError) {
        try await finishDeletion(record.id)
      } catch {
        Logger(label: "accounts").info(
          "a deletion is not finished yet", metadata: ["account": "\(record.id)", "reason": "\(error.message)"])
      }
    }
  }

  // MARK: records

  /// Stores a new record, on this node; the name is taken from then on.
  func reserve(
    name: String, _ options: AccountOptions, as state: AccountState
  ) async throws(NodeError) -> AccountRecord {
    try AccountName.check(name)
    try options.check()
    try checkMembership()
    let record = AccountRecord(
      id: randomID(), name: name, createdAt: clock.now, deletedAt: nil, state: state, options: options,
      home: options.home ?? configuration.region, primary: nodeID)
    return try await control.change { view throws(NodeError) in
      // A transaction whose answer was lost, and which came after it had been looked for.
      if view[record.id] != nil { return PlannedChange(changes: [], value: record) }
      guard view[name: name] == nil else {
        throw NodeError(.exists, "an account of that name exists already: choose another name")
      }
      let (names, mark) = view.addingName(.accounts)
      let key = ControlKeys.account(record.id)
      let put = ControlChange.put(key, try ControlKeys.encode(StoredAccount(record)))
      return PlannedChange(conditions: [.absent(key), names], changes: [put, mark], value: record)
    }
  }

  func setState(_ id: AccountID, _ state: AccountState) async throws(NodeError) -> AccountRecord {
    try await control.change { view throws(NodeError) in
      guard let account = view[id] else { throw NodeError(.notFound, "the account is gone") }
      var changed = account.record
      changed.state = state
      let key = ControlKeys.account(id)
      return PlannedChange(
        conditions: [ControlCondition(key, at: account.revision)],
        changes: [.put(key, try ControlKeys.encode(StoredAccount(changed)))], value: changed)
    }
  }

  /// Removes the record of an account that never was, or is gone.
  func forget(_ id: AccountID) async throws(NodeError) {
    try await control.change { view throws(NodeError) in
      var changes: [ControlChange] = view[id] == nil ? [] : [.delete(ControlKeys.account(id))]
      if view.shards[id] != nil { changes.append(.delete(OwnershipRecord.key(id))) }
      return PlannedChange(changes: changes, value: ())
    }
  }

  /// A node that was removed from its cluster ends soon, and changes no account meanwhile.
  private func checkMembership() throws(NodeError) {
    guard control.view.with({ $0[nodeID]?.record.state != .removed }) else {
      throw NodeError(.unavailable, "this node was removed from the cluster: ask another one")
    }
  }

  private func beginDeletion(_ id: AccountID) async throws(NodeError) {
    try checkMembership()
    try await control.change { view throws(NodeError) in
      guard let account = view[id], account.record.state != .deleted else {
        return PlannedChange(changes: [], value: ())
      }
      var changed = account.record
      changed.state = .deleting
      let key = ControlKeys.account(id)
      let keys = view.credentials.keys.values.filter { $0.record.account == id }
      var removals = keys.map { ControlChange.delete(ControlKeys.key($0.record.id)) }
      if view.shards[id] != nil { removals.append(.delete(OwnershipRecord.key(id))) }
      return PlannedChange(
        conditions: [ControlCondition(key, at: account.revision)],
        changes: [.put(key, try ControlKeys.encode(StoredAccount(changed)))] + removals, value: ())
    }
  }
}
