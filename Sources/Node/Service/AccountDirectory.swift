// Every account and credential of the node in memory, as the control store has them.
//
// It is filled when the node starts and changed only behind a successful transaction of the store, on the one thread
// that makes those; anybody may read it. Names are unique among accounts that are not deleted.

import Base
import ControlStores
import Threads

struct AccountDirectory {
  struct Account {
    var record: AccountRecord
    /// Of its entry in the control store.
    var revision: Int64
  }

  private(set) var accounts: [AccountID: Account] = [:]
  private var byName: [String: AccountID] = [:]
  var credentials = CredentialIndex()
  /// The newest snapshot that the schedule knows of.
  var lastSnapshot: [AccountID: UnixMicroseconds] = [:]
  /// When the schedule last started one, or looked into the archive for one.
  var lastAttempt: [AccountID: UnixMicroseconds] = [:]

  subscript(_ id: AccountID) -> Account? { accounts[id] }
  subscript(name name: String) -> Account? { byName[name].flatMap { accounts[$0] } }

  mutating func put(_ record: AccountRecord, revision: Int64) {
    if let former = accounts[record.id], byName[former.record.name] == record.id { byName[former.record.name] = nil }
    accounts[record.id] = Account(record: record, revision: revision)
    if record.state != .deleted { byName[record.name] = record.id }
  }

  mutating func remove(_ id: AccountID) {
    guard let former = accounts.removeValue(forKey: id) else { return }
    if byName[former.record.name] == id { byName[former.record.name] = nil }
  }

  /// The account whose archive `name` means: the living one, else the one deleted last.
  func archived(_ name: String) -> AccountRecord? {
    if let living = self[name: name] { return living.record }
    return accounts.values.map(\.record).filter { $0.name == name && $0.state == .deleted }
      .max { ($0.deletedAt ?? 0) < ($1.deletedAt ?? 0) }
  }
}
