// A database at one position: snapshots read it while the writer goes on.

package import Base
import SQLite
import Threads

package final class PinnedView: @unchecked Sendable {
  // Invariant: `session` is only locked in `init` and closed in `deinit`, and `advance` comes before any reading; reads go
  // to the store, which locks itself.
  package private(set) var position: Position
  package private(set) var pageCount: Int
  private let session: StoreSession
  private let shard: Shard

  init(_ shard: Shard) throws(StoreError) {
    self.shard = shard
    session = StoreSession(shard.pages, readOnly: true)
    guard session.lockShared() == .ok else { throw StoreError(.closed, "the account is closing; try again") }
    position = session.pinned
    pageCount = Int(session.pageCount)
    shard.hold()
  }

  deinit {
    session.unlock()
    session.close()
    shard.release()
  }

  /// Whether it reads this opening of the account.
  func isOf(_ shard: Shard) -> Bool { self.shard === shard }

  /// Moves the pin to a later position that is published.
  func advance(to later: Position) throws(StoreError) {
    guard session.advance(to: later) else { throw StoreError(.closed, "the account is closing; try again") }
    position = later
    pageCount = Int(session.pageCount)
  }

  /// Every recording that a row names at the pin, or that is remembered as deleted.
  func recordings() throws -> Set<RecordingID> {
    let connection = try Connection(pages: PagesVFS(host: PinnedPages(shard.pages, at: position)), readOnly: true)
    return try RecordingCatalog.known(connection)
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

/// The pages as of one position, as a host for SQLite.
private final class PinnedPages: PageHost {
  private let store: PageStore
  private let position: Position

  init(_ store: PageStore, at position: Position) {
    self.store = store
    self.position = position
  }

  func openSession(readOnly: Bool) -> (any PageSession)? {
    if store.state.with({ $0.closed }) { return nil }
    let session = StoreSession(store, readOnly: true)
    session.fixed = position
    return session
  }

  func openTemporary() -> (any TemporaryStorage)? { store.openTemporary() }
}
