// A database at one position: snapshots read it while the writer goes on.

package import Base
import SQLite
import Threads

package final class PinnedView: @unchecked Sendable {
  // Invariant: `session` is only locked in `init` and closed in `deinit`; reads go to the store, which locks itself.
  package let position: Position
  package let pageCount: Int
  private let session: StoreSession
  private let shard: Shard

  init(_ shard: Shard) throws(StoreError) {
    self.shard = shard
    session = StoreSession(shard.pages, readOnly: true)
    guard session.lockShared() == .ok else { throw StoreError(.closed, "the account is closing; try again") }
    position = session.pinned
    pageCount = Int(session.pageCount)
    shard.state.with { $0.users += 1 }
  }

  deinit {
    session.unlock()
    session.close()
    shard.state.with { $0.users -= 1 }
  }

  /// Page `number`, from 1, with its reserved bytes zeroed. Blocks.
  package func readPage(_ number: PageNumber) throws(StoreError) -> [UInt8] {
    switch shard.pages.page(number, at: position.index) {
    case .image(let image): return image
    case .beyondEnd: return [UInt8](repeating: 0, count: Limits.pageBytes)
    case .damaged: throw StoreError(.damaged, "page \(number) of account \(shard.id) is damaged")
    case .failed: throw StoreError(.io, "page \(number) of account \(shard.id) cannot be read")
    }
  }

  /// A connection that sees the account's latest state; the view itself stays where it is.
  package var account: AccountID { shard.id }
}
