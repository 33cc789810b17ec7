// Making, showing and deleting accounts.
//
// Making one: its record as `creating`, its shard, then `active`. Deleting one: its record as `deleting` together with
// the removal of its keys, its shard, then a `deleted` record that names the archive until the retention ends. A start
// of the node finishes whatever lies between.

package import Base
import ControlStores
import ShardStore
import Threads

extension NodeService {
  package func createAccount(
    name: String, _ options: AccountOptions = AccountOptions()
  ) async throws(NodeError) -> AccountRecord {
    if let cluster, let other = try await cluster.place(name, options) {
      return try await createAccount(name: name, options, on: other)
    }
    return try await createAccountHere(name: name, options)
  }

  /// On this node, whatever placement would say.
  func createAccountHere(name: String, _ options: AccountOptions) async throws(NodeError) -> AccountRecord {
    let record = try await reserve(name: name, options, as: .creating)
    do {
      try await engine.createAccount(record.id)
      return try await setState(record.id, .active)
    } catch {
      let failure = NodeError(describing: error)
      try? await forget(record.id)
      throw failure
    }
  }

  package func account(named name: String) throws(NodeError) -> AccountRecord {
    guard let record = control.view.with({ $0[name: name]?.record }) else {
      throw NodeError(.notFound, "there is no account of that name: see `komora account list`")
    }
    return record
  }

  package func account(_ id: AccountID) -> AccountRecord? { control.view.with { $0[id]?.record } }

  /// By name; without deleted ones.
  package func accounts() -> [AccountRecord] {
    control.view.with { $0.accounts.values.map(\.record) }.filter { $0.state != .deleted }.sorted { $0.name < $1.name }
  }

  /// With the position that was published last.
  package func status(ofAccount name: String) async throws(NodeError) -> AccountStatus {
    let record = try account(named: name)
    if !isHere(record) { return try await statusElsewhere(record) }
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
    if !isHere(record) { return try await deleteElsewhere(record) }
    guard record.state == .active || record.state == .deleting else {
      throw NodeError(.refused, "the account is being made or restored: wait for that to end")
    }
    try await beginDeletion(record.id)
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
    _ = try await setState(id, .deleted)
  }

  // MARK: records

  /// Stores a new record, on this node; the name is taken from then on.
  func reserve(
    name: String, _ options: AccountOptions, as state: AccountState
  ) async throws(NodeError) -> AccountRecord {
    try AccountName.check(name)
    try options.check()
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
    let now = clock.now
    return try await control.change { view throws(NodeError) in
      guard let account = view[id] else { throw NodeError(.notFound, "the account is gone") }
      var changed = account.record
      changed.state = state
      if state == .deleted { changed.deletedAt = now }
      let key = ControlKeys.account(id)
      return PlannedChange(
        conditions: [ControlCondition(key, at: account.revision)],
        changes: [.put(key, try ControlKeys.encode(StoredAccount(changed)))], value: changed)
    }
  }

  /// Removes the record of an account that never was, or is gone.
  func forget(_ id: AccountID) async throws(NodeError) {
    try await control.change { view throws(NodeError) in
      PlannedChange(changes: view[id] == nil ? [] : [.delete(ControlKeys.account(id))], value: ())
    }
  }

  private func beginDeletion(_ id: AccountID) async throws(NodeError) {
    try await control.change { view throws(NodeError) in
      guard let account = view[id] else { return PlannedChange(changes: [], value: ()) }
      var changed = account.record
      changed.state = .deleting
      let key = ControlKeys.account(id)
      let keys = view.credentials.keys.values.filter { $0.record.account == id }
      let removals = keys.map { ControlChange.delete(ControlKeys.key($0.record.id)) }
      return PlannedChange(
        conditions: [ControlCondition(key, at: account.revision)],
        changes: [.put(key, try ControlKeys.encode(StoredAccount(changed)))] + removals, value: ())
    }
  }
}
