// Making, showing and deleting accounts.
//
// Making one: its record as `creating`, its shard, then `active`. Deleting one: its record as `deleting` together with
// the removal of its keys, its shard, then a `deleted` record that names the archive until the retention ends. A start
// of the node finishes whatever lies between.

package import Base
import ControlStores
import OpenSSL
import ShardStore
import Threads

extension NodeService {
  package func createAccount(
    name: String, _ options: AccountOptions = AccountOptions()
  ) async throws(NodeError) -> AccountRecord {
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
    guard let record = directory.with({ $0[name: name]?.record }) else {
      throw NodeError(.notFound, "there is no account of that name: see `komora account list`")
    }
    return record
  }

  package func account(_ id: AccountID) -> AccountRecord? { directory.with { $0[id]?.record } }

  /// By name; without deleted ones.
  package func accounts() -> [AccountRecord] {
    directory.with { $0.accounts.values.map(\.record) }.filter { $0.state != .deleted }.sorted { $0.name < $1.name }
  }

  /// With the position that was published last.
  package func status(ofAccount name: String) async throws(NodeError) -> AccountStatus {
    let record = try account(named: name)
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

  /// Stores a new record; the name is taken from then on.
  func reserve(
    name: String, _ options: AccountOptions, as state: AccountState
  ) async throws(NodeError) -> AccountRecord {
    try AccountName.check(name)
    try options.check()
    return try await change { () throws(NodeError) in
      guard self.directory.with({ $0[name: name] }) == nil else {
        throw NodeError(.exists, "an account of that name exists already: choose another name")
      }
      let record = AccountRecord(
        id: self.randomID(), name: name, createdAt: self.clock.now, deletedAt: nil, state: state, options: options,
        home: options.home ?? self.configuration.region)
      try self.put(record, if: .absent(ControlKeys.account(record.id)))
      return record
    }
  }

  func setState(_ id: AccountID, _ state: AccountState) async throws(NodeError) -> AccountRecord {
    try await change { () throws(NodeError) in
      guard let (record, revision) = self.directory.with({ $0[id].map { ($0.record, $0.revision) } }) else {
        throw NodeError(.notFound, "the account is gone")
      }
      var changed = record
      changed.state = state
      if state == .deleted { changed.deletedAt = self.clock.now }
      try self.put(changed, if: ControlCondition(ControlKeys.account(id), at: revision))
      return changed
    }
  }

  /// Removes the record of an account that never was, or is gone.
  func forget(_ id: AccountID) async throws(NodeError) {
    try await change { () throws(NodeError) in
      _ = try self.commit([.delete(ControlKeys.account(id))])
      self.directory.with { $0.remove(id) }
    }
  }

  private func beginDeletion(_ id: AccountID) async throws(NodeError) {
    try await change { () throws(NodeError) in
      guard let (record, revision) = self.directory.with({ $0[id].map { ($0.record, $0.revision) } }) else { return }
      var changed = record
      changed.state = .deleting
      let keys = self.directory.with { $0.credentials.keys.values.filter { $0.record.account == id } }
      var changes: [ControlChange] = [
        .put(ControlKeys.account(id), try ControlKeys.encode(StoredAccount(changed)))
      ]
      changes += keys.map { .delete(ControlKeys.key($0.record.id)) }
      let next = try self.commit(changes, if: [ControlCondition(ControlKeys.account(id), at: revision)])
      self.directory.with { directory in
        directory.put(changed, revision: next)
        for key in keys { directory.credentials.removeKey(key.record.id) }
      }
    }
  }

  private func put(_ record: AccountRecord, if condition: ControlCondition) throws(NodeError) {
    let value = try ControlKeys.encode(StoredAccount(record))
    let revision = try commit([.put(ControlKeys.account(record.id), value)], if: [condition])
    directory.with { $0.put(record, revision: revision) }
  }
}
