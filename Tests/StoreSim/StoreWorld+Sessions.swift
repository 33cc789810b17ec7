// Interactive transactions: a client takes the writer, keeps it over several steps, and commits or gives up.

import Base
import SQLite
import ShardStore

extension StoreWorld {
  func stepSession(_ account: SimulatedAccount) {
    switch account.session.phase {
    case .closed: openSession(account)
    case .opening, .working: break
    case .idle:
      switch random.below(6) {
      case 0: closeSession(account)
      case 1: runInSession(account, commits: false)
      default: runInSession(account, commits: true)
      }
    case .inTransaction: endTransaction(account, commits: !random.oneIn(4))
    }
  }

  private func openSession(_ account: SimulatedAccount) {
    guard let engine else { return }
    account.session.phase = .opening
    let (id, from) = (account.id, life)
    task { [unowned self] in
      let holder = account.session
      do {
        let session = try await engine.session(id)
        guard from == self.life else { return }
        holder.session = session
        holder.phase = .idle
      } catch {
        guard from == self.life else { return }
        self.heard(error, "session")
        holder.forget()
      }
    }
  }

  /// One request that begins a transaction, and ends it when `commits`.
  private func runInSession(_ account: SimulatedAccount, commits: Bool) {
    guard let session = account.session.session else { return }
    let change = drawChange(account)
    if case .failing = change { return }
    let serial = account.oracle.submit(change)
    note("\(account.oracle.id.bits >> 64): session, transaction \(serial), \(change.label)")
    account.session.phase = .working
    account.session.serial = serial
    request(account, session, then: commits ? .idle : .inTransaction) { connection in
      try connection.execute("BEGIN IMMEDIATE")
      try change.run(connection, serial: serial)
      if commits { try connection.execute("COMMIT") }
    }
  }

  private func endTransaction(_ account: SimulatedAccount, commits: Bool) {
    guard let session = account.session.session, let serial = account.session.serial else { return }
    note("\(account.oracle.id.bits >> 64): session \(commits ? "commits" : "rolls back") transaction \(serial)")
    account.session.phase = .working
    if !commits {
      account.oracle.settle(serial, .refused)
      totals.note("session rolled back")
    }
    request(account, session, then: .idle) { try $0.execute(commits ? "COMMIT" : "ROLLBACK") }
  }

  private func request(
    _ account: SimulatedAccount, _ session: Session, then next: SimulatedSession.Phase,
    _ body: @escaping @Sendable (Connection) throws -> Void
  ) {
    guard let serial = account.session.serial else { return }
    let from = life
    task { [unowned self] in
      let (holder, oracle) = (account.session, account.oracle)
      do {
        let answer = try await session.run(writes: true, body)
        guard from == self.life else { return }
        holder.phase = next
        guard next == .idle else { return }
        holder.serial = nil
        guard oracle.transactions[serial].fate != .refused else { return }
        self.totals.note("session committed")
        self.settle(account, serial, from, .success(answer.position))
      } catch {
        guard from == self.life else { return }
        if oracle.transactions[serial].fate != .refused {
          self.settle(account, serial, from, .failure(error))
        }
        holder.serial = nil
        holder.phase = .idle
        // What is left of the transaction goes with the session.
        if self.random.oneIn(2) { self.rollBack(account) } else { self.closeSession(account) }
      }
    }
  }

  private func rollBack(_ account: SimulatedAccount) {
    guard let session = account.session.session else { return }
    account.session.phase = .working
    let from = life
    task { [unowned self] in
      _ = try? await session.run(writes: false) { connection in
        if !connection.isAutocommit { try connection.execute("ROLLBACK") }
      }
      if from == self.life { account.session.phase = .idle }
    }
  }

  /// Gives up what is open; its transaction was never committed.
  func closeSession(_ account: SimulatedAccount) {
    guard let session = account.session.session else { return }
    if account.session.phase == .inTransaction, let serial = account.session.serial {
      account.oracle.settle(serial, .refused)
    }
    account.session.forget()
    task { await session.close() }
  }
}
