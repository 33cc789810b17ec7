// The value of `account/<id>` in the control store: JSON with a version, sealed by the store.

import Base
import Foundation

struct StoredAccount: Codable {
  var version = 1
  var name: String
  var createdAt: UnixMicroseconds
  var deletedAt: UnixMicroseconds?
  var state: AccountState
  var home: String
  var options: AccountOptions
  /// The node that holds it; missing in a store that knew one node only.
  var primary: String?
  /// Of its last restores in place; missing where there was none.
  var restores: [String]?

  init(_ record: AccountRecord) {
    name = record.name
    createdAt = record.createdAt
    deletedAt = record.deletedAt
    state = record.state
    home = record.home
    options = record.options
    primary = record.primary.map { "\($0)" }
    restores = record.restores.isEmpty ? nil : record.restores
  }

  func record(id: AccountID) -> AccountRecord {
    AccountRecord(
      id: id, name: name, createdAt: createdAt, deletedAt: deletedAt, state: state, options: options, home: home,
      primary: primary.flatMap(NodeID.init(_:)), restores: restores ?? [])
  }
}
