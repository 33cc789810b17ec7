// Other wishes for an account that is there: what it shall survive, where it is at home, where its data may lie.
//
// Only the wish is changed here, and refused where the nodes of the cluster could not hold it. The caretaker compares
// wishes with what is (`ShardMover`) and moves voters one step at a time, while the account is used.

import Base
import ControlStores

extension NodeService {
  /// `body` must give the same for the same options.
  package func changeAccount(
    named name: String, _ body: @escaping @Sendable (inout AccountOptions) -> Void
  ) async throws(NodeError) -> AccountRecord {
    let record = try account(named: name)
    guard record.isActive else { throw NodeError(.refused, "the account is not active: wait until it is") }
    var wanted = record.options
    body(&wanted)
    try wanted.check()
    if let cluster { _ = try await cluster.place(wanted) }
    return try await control.change { view throws(NodeError) in
      guard let present = view[record.id], present.record.isActive else {
        throw NodeError(.notFound, "the account is gone")
      }
      var changed = present.record
      body(&changed.options)
      changed.home = changed.options.home ?? changed.home
      let key = ControlKeys.account(record.id)
      return PlannedChange(
        conditions: [ControlCondition(key, at: present.revision)],
        changes: changed == present.record ? [] : [.put(key, try ControlKeys.encode(StoredAccount(changed)))],
        value: changed)
    }
  }
}
