// The writer's turn of a replacement: what is left to do once everything that takes long is done.

import AtRest
import Base
import Formats
import SQLite
import Threads

extension Shard {
  func replace(
    _ replacement: Replacement, _ reply: @escaping @Sendable (Result<Answer<Replaced>, any Error>) -> Void
  ) {
    let ticket = state.with { s in
      s.tickets += 1
      return s.tickets
    }
    enqueue(
      .session(ticket: ticket) { [self] error in
        if let error { return reply(.failure(error)) }
        let (drops, before) = (pages.drops, pages.head.index)
        do {
          let replaced = try replaceNow(replacement)
          handOver()
          let head = pages.head.index
          self.reply(head, drops: drops, hasRecord: head != before) { result in
            reply(
              result.map { Answer(value: replaced, position: $0, replayed: replaced.isRepeated) }.mapError { $0 })
          }
        } catch {
          abandonGated()
          reply(.failure(Self.translated(error)))
        }
        endTurn()
      })
  }

  /// By whoever has the turn; nothing is committed when it throws.
  private func replaceNow(_ replacement: Replacement) throws -> Replaced {
    guard replacement.view.isOf(self) else {
      throw StoreError(.closed, "the account was opened anew meanwhile; try again")
    }
    let live = try openConnection(readOnly: true)
    (live.pageSession as? StoreSession)?.readsHead = true
    try live.execute("BEGIN")
    defer { try? live.execute("ROLLBACK") }
    if let request = replacement.request, let done = try ReplaceCatalog.entry(live, of: request) {
      return Replaced(entry: done, pages: 0, erased: [], isRepeated: true)
    }
    // The head cannot move: this thread has the turn.
    let head = pages.head
    var entry = replacement.entry
    entry.before = head
    entry.at = environment.clock.unixMicroseconds()

    let (kept, erased) = sorted(replacement.recordings)
    let host = ReplacementPages(replacement, temporary: pages.temporary)
    let returning = try storing {
      let wanted = try Connection(pages: PagesVFS(host: host), readOnly: false)
      let rows = ReplaceRows(live: live, wanted: wanted, recordings: Set(kept), now: entry.at)
      let keep = Int64(configuration.idempotencyKeep.nanoseconds / 1_000)
      return try rows.carry(without: erased, keeping: keep, entry, replacement.request)
    }
    try checkThere(returning)
    let changes = try changes(to: host, since: replacement.view, head)
    guard changes.count <= configuration.transactionPagesMax else {
      throw Self.tooManyPages(changes.count, configuration.transactionPagesMax)
    }
    let count = host.state.with { $0.pageCount }
    try commit(changes, databasePages: count, head: head, naming: returning)
    forgetSchema()
    return Replaced(entry: entry, pages: changes.count, erased: erased)
  }

  /// Counters make SQLite drop its pages, but a statement may fail by the old schema before it looks at them: who has the
  /// turn opens the writer's connection anew, and sessions look again before their next transaction. Readers begin with a
  /// statement that looks.
  private func forgetSchema() {
    pages.state.with { $0.replacedAt = $0.head.index }
    state.with { $0.writer = nil }
  }

  /// Those that have a key, and those that were erased.
  private func sorted(_ ids: [RecordingID]) -> (kept: [RecordingID], erased: [RecordingID]) {
    (ids.filter(keyring.hasRecordingKey), ids.filter { !keyring.hasRecordingKey($0) })
  }

  /// Bytes first, then rows: whoever prepared this has made them durable here.
  private func checkThere(_ recordings: [RecordingID]) throws(StoreError) {
    self.recordings.keep(recordings, now: environment.clock.monotonicNanoseconds())
    for id in recordings where try self.recordings.volumes.chunks(of: id) == nil {
      throw StoreError(.notApplied, "a recording of the restored state went away meanwhile; try again")
    }
  }

  private func changes(
    to host: ReplacementPages, since view: PinnedView, _ head: Position
  ) throws(StoreError) -> [ChangedPage] {
    let (images, count) = host.state.with { ($0.images, $0.pageCount) }
    let since = pages.changed(since: view.position)
    var numbers = Set(images.keys).union(since.numbers).filter { $0 <= count }
    if since.fewest < count { numbers.formUnion((since.fewest + 1)...count) }
    numbers.insert(1)
    var written: [ChangedPage] = []
    written.reserveCapacity(numbers.count)
    for number in numbers {
      var image = try host.page(number)
      if number == 1 { try setHeader(&image, pages: count, head) }
      written.append(ChangedPage(number: number, image: image, base: nil))
    }
    return try pages.differing(written, from: head, replacing: true)
  }

  /// Counters of the file never go back: SQLite takes its cached pages and statements for valid by them alone, so no two
  /// states of an account may have the same.
  private func setHeader(_ first: inout [UInt8], pages count: UInt32, _ head: Position) throws(StoreError) {
    guard case .image(let live) = pages.page(1, at: head.index) else {
      throw StoreError(.damaged, "page 1 of the database is damaged")
    }
    let counter = PageHeader.field(live, PageHeader.changeCounter) &+ 1
    let cookie = max(
      PageHeader.field(live, PageHeader.schemaCookie), PageHeader.field(first, PageHeader.schemaCookie))
    PageHeader.set(&first, PageHeader.changeCounter, counter)
    PageHeader.set(&first, PageHeader.versionValidFor, counter)
    PageHeader.set(&first, PageHeader.schemaCookie, cookie &+ 1)
    PageHeader.set(&first, PageHeader.pages, count)
  }

  static func tooManyPages(_ count: Int, _ limit: Int) -> StoreError {
    StoreError(
      .tooLarge,
      "\(count) pages differ, and one transaction changes at most \(limit): restore beside, with --as NAME, instead")
  }
}
