// What is known of one account from outside: which transactions were asked for, what was answered, what readers saw.
//
// The journal in the database gives the order in which the engine ran them; the oracle never guesses it. What a reader
// once saw is stable: every later journal begins with it, in this life and in all that follow.

import Base
import ShardStore

final class AccountOracle {
  enum Fate: Equatable { case pending, acknowledged, refused, unknown }

  struct Transaction {
    var change: Change
    var fate = Fate.pending
    /// Transactions that were acknowledged before this one was asked for.
    var acknowledgedBefore: Int
  }

  let id: AccountID
  /// By serial.
  private(set) var transactions: [Transaction] = []
  /// In the order of their replies.
  private(set) var acknowledged: [Int] = []
  /// What the last reader saw, and the state that follows from it.
  private(set) var stable: [Int] = []
  private(set) var state = AccountState()
  var position = Position.start

  init(_ id: AccountID) { self.id = id }

  func submit(_ change: Change) -> Int {
    transactions.append(Transaction(change: change, acknowledgedBefore: acknowledged.count))
    return transactions.count - 1
  }

  func settle(_ serial: Int, _ fate: Fate) {
    // A repeated request may have an earlier answer; an acknowledgement stays one.
    switch (transactions[serial].fate, fate) {
    case (.acknowledged, _), (.unknown, .refused), (.unknown, .unknown): return
    default: break
    }
    transactions[serial].fate = fate
    if fate == .acknowledged { acknowledged.append(serial) }
  }

  /// A request that was refused is sent again under its key.
  func reopen(_ serial: Int) {
    if transactions[serial].fate == .refused { transactions[serial].fate = .pending }
  }

  /// Nobody will answer what was pending when the machine stopped.
  func forgetPending() {
    for serial in transactions.indices where transactions[serial].fate == .pending {
      transactions[serial].fate = .unknown
    }
  }

  var pendingCount: Int { transactions.reduce(0) { $0 + ($1.fate == .pending ? 1 : 0) } }

  /// The state after `journal`, which begins with what is stable.
  func replay(_ journal: [Int]) -> AccountState {
    var next = state
    for serial in journal[stable.count...] { next.apply(transactions[serial].change, serial: serial) }
    return next
  }

  func settle(stable journal: [Int], _ state: AccountState) {
    stable = journal
    self.state = state
  }
}
