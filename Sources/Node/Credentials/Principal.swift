// Who a request comes from, as its bearer token says.

package import Base

package enum Principal: Sendable, Equatable {
  case admin(name: String, scopes: Set<AdminScope>)
  case account(AccountID, keyID: String)

  /// Whether an administrator with `scope` asks.
  package func allows(_ scope: AdminScope) -> Bool {
    guard case .admin(_, let scopes) = self else { return false }
    return scopes.contains(.all) || scopes.contains(scope)
  }
}

/// What an administrator's token may do.
package enum AdminScope: String, Sendable, Codable, CaseIterable, Comparable {
  case all
  /// Look at accounts, snapshots, jobs and metrics.
  case read
  /// Make, change and delete accounts.
  case accounts
  /// Make and revoke keys of accounts, and their recovery files.
  case keys
  /// Snapshot, verify and restore.
  case backup
  /// Use SQL and recordings of every account.
  case data
  /// Let nodes in and out, turn keys, and take the recovery kit.
  case cluster
  /// Make and revoke administrators' tokens.
  case tokens

  package static func < (a: AdminScope, b: AdminScope) -> Bool { a.rawValue < b.rawValue }
}
