// Which pages a transaction really changes, and which changed since a position: what the gate and a restore in place ask.

import Base
import SQLite
import Threads

extension PageStore {
  /// Of `written`, those that differ from the head, sorted, each with the version to which a difference may be stored.
  /// `replacing`: a page here that cannot be read differs from whatever comes in its place.
  func differing(
    _ written: [ChangedPage], from head: Position, replacing: Bool = false
  ) throws(StoreError) -> [ChangedPage] {
    var written = written
    written.sort { $0.number < $1.number }
    let (headPages, serial) = state.with { s in
      for i in written.indices { written[i].base = s.version(of: written[i].number, at: head.index) }
      return (s.pages(at: head.index), s.markSerial)
    }
    var changes: [ChangedPage] = []
    changes.reserveCapacity(written.count)
    for var page in written {
      // What lies behind the head's end is no base: a checkpoint may have left it out of the main file.
      if page.number > headPages {
        page.base = nil
      } else if let version = page.base {
        if version.image == page.image { continue }
        if version.markSerial != serial { page.base = nil }
      } else {
        switch self.page(page.number, at: head.index) {
        case .image(let base) where base == page.image: continue
        case .image, .beyondEnd: break
        case .damaged where replacing: break
        case .damaged: throw StoreError(.damaged, "page \(page.number) of the database is damaged")
        case .failed: throw StoreError(.io, "page \(page.number) of the database cannot be read")
        }
      }
      changes.append(page)
    }
    return changes
  }

  /// Pages with versions behind `position`, and the fewest pages that the database had since. Somebody's pin must not be
  /// later: versions behind it stay.
  func changed(since position: Position) -> (numbers: [PageNumber], fewest: UInt32) {
    state.with { s in
      let numbers = s.chains.compactMap { number, chain in
        (chain.last?.index ?? 0) > position.index ? number : nil
      }
      let fewest = s.sizes.filter { $0.index > position.index }.map(\.pages).min()
      return (numbers, min(fewest ?? .max, s.pages(at: s.head.index)))
    }
  }
}

extension StoreSession {
  /// Makes a connection without a transaction look at the schema again when another state has taken the database's place:
  /// SQLite compares cookies when a statement runs, and a statement may not even parse by the schema from before.
  func learnSchema(_ connection: Connection) {
    guard isSchemaOld else { return }
    guard (try? connection.query("SELECT 1 FROM sqlite_master LIMIT 1")) != nil else { return }
    noteSchema()
  }
}
