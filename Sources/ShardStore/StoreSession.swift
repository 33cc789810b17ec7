// What one SQLite connection sees of the pages: a pin while it reads, an overlay while it writes, the gate at COMMIT.

import Base
import SQLite
import Threads

final class StoreSession: PageSession {
  private let store: PageStore
  private let readOnly: Bool
  private var key: ObjectIdentifier { ObjectIdentifier(self) }
  /// What the session reads; nil without a lock.
  private(set) var pin: LogIndex?
  /// The position of the latest pin.
  private(set) var pinned = Position.start
  private var drops: UInt64 = 0
  private var overlay: [PageNumber: [UInt8]] = [:]
  private var overlayPages: UInt32?
  private var hasReserved = false
  /// The session holds the account's writer, so that it reads from the head.
  var readsHead = false
  /// Every pin is here, which somebody else keeps alive.
  var fixed: Position?
  /// The schema that the connection knows is at least as new.
  private var schemaIndex: LogIndex = 0
  /// Recordings that the open transaction makes exist.
  var recordings: [RecordingID] = []
  /// Why the last commit was refused.
  private(set) var refusal: StoreError?

  init(_ store: PageStore, readOnly: Bool) {
    self.store = store
    self.readOnly = readOnly
    let drops = store.state.with { s in
      s.sessions[key] = .some(nil)
      return s.drops
    }
    self.drops = drops
  }

  func lockShared() -> PageLockResult {
    store.state.with { s in
      guard !s.closed, s.drops == drops || store.bugs.contains(.connectionKeptAfterDrop) else { return .gone }
      pinned = fixed ?? (readsHead ? s.head : s.published)
      pin = pinned.index
      s.sessions[key] = pinned.index
      return .ok
    }
  }

  /// Moves a pin to a later position; false when it is not published, or the store is closed.
  func advance(to later: Position) -> Bool {
    store.state.with { s in
      guard !s.closed, s.drops == drops, let pin, pin <= later.index, later.index <= s.published.index else {
        return false
      }
      pinned = later
      self.pin = later.index
      s.sessions[key] = later.index
      return true
    }
  }

  func reserve() -> PageLockResult {
    store.state.with { s in
      guard !readOnly else { return .readOnly }
      guard !s.closed, s.drops == drops || store.bugs.contains(.connectionKeptAfterDrop) else { return .gone }
      if let writer = s.writer, writer != key { return .busy }
      guard pin == s.head.index else { return .snapshotTooOld }
      s.writer = key
      hasReserved = true
      return .ok
    }
  }

  func unlockToShared() {
    discard()
    store.state.with { s in if s.writer == key { s.writer = nil } }
  }

  func unlock() {
    discard()
    pin = nil
    store.state.with { s in
      if s.writer == key { s.writer = nil }
      s.sessions[key] = .some(nil)
    }
  }

  private func discard() {
    hasReserved = false
    overlay.removeAll(keepingCapacity: overlay.capacity <= 64)
    overlayPages = nil
    recordings = []
  }

  var isReserved: Bool { store.state.with { $0.writer != nil } }

  var pageCount: UInt32 {
    if let overlayPages { return overlayPages }
    return store.state.with { s in s.pages(at: pin ?? s.published.index) }
  }

  func read(page number: UInt32, at offset: Int, into bytes: inout MutableRawSpan) -> PageReadResult {
    if let image = overlay[number] {
      image.copyBytes(from: offset, into: &bytes)
      return .ok
    }
    guard number <= pageCount else { return .beyondEnd }
    let index = pin ?? store.state.with { $0.published.index }
    switch store.page(number, at: index) {
    case .image(let image):
      image.copyBytes(from: offset, into: &bytes)
      return .ok
    case .beyondEnd: return .beyondEnd
    case .damaged: return .damaged
    case .failed: return .failed
    }
  }

  func write(page number: UInt32, _ bytes: RawSpan) -> PageWriteResult {
    // Whether it still holds the writer is COMMIT's question: what it writes until then is its own.
    guard hasReserved else { return .failed }
    guard overlay.count < store.transactionPagesMax || overlay[number] != nil else { return .tooLarge }
    guard Int(number) <= Limits.databasePagesMax else { return .tooLarge }
    if overlayPages == nil { overlayPages = pageCount }
    overlay[number] = PageLayout.image(bytes)
    overlayPages = max(overlayPages!, number)
    return .ok
  }

  func truncate(pages: UInt32) { if overlayPages != nil { overlayPages = pages } }

  func commit() -> PageCommitResult {
    guard overlayPages != nil, !overlay.isEmpty else { return .ok }
    let (head, stale) = store.state.with { s in
      (s.head, s.writer != key || s.drops != drops || s.closed)
    }
    guard !stale || store.bugs.contains(.connectionKeptAfterDrop), pin == head.index, let gate = store.commitGate else {
      refusal = StoreError(.notApplied, "the writer lost its place; run the transaction again")
      return .refused
    }
    let pages = databasePages
    do {
      let changes = try changedPages(upTo: pages, head: head)
      if !changes.isEmpty { try gate.commit(changes, databasePages: pages, head: head, naming: recordings) }
    } catch {
      refusal = error
      return error.code == .diskFull ? .full : .refused
    }
    overlay.removeAll(keepingCapacity: overlay.capacity <= 64)
    overlayPages = nil
    recordings = []
    pinned = store.state.with { s in
      s.sessions[key] = s.head.index
      return s.head
    }
    pin = pinned.index
    return .ok
  }

  /// SQLite truncates after the gate, so the size is the header's (bytes 28 to 31 of page 1).
  private var databasePages: UInt32 {
    overlay[1].map(PageHeader.databasePages) ?? pageCount
  }

  /// What differs from the head, sorted; the playback of a rollback differs in nothing.
  private func changedPages(upTo pages: UInt32, head: Position) throws(StoreError) -> [ChangedPage] {
    var written: [ChangedPage] = []
    written.reserveCapacity(overlay.count)
    for (number, image) in overlay where number <= pages {
      written.append(ChangedPage(number: number, image: image, base: nil))
    }
    return try store.differing(written, from: head)
  }

  /// A drop happened since the session was opened: what it has cached may never have been.
  var isStale: Bool { store.state.with { $0.drops != drops || $0.closed } }

  var isSchemaOld: Bool { store.state.with { $0.replacedAt > schemaIndex } }
  /// What the connection has just read was at its latest pin.
  func noteSchema() { schemaIndex = pinned.index }

  func takeRefusal() -> StoreError? {
    defer { refusal = nil }
    return refusal
  }

  func close() {
    store.state.with { s in
      if s.writer == key { s.writer = nil }
      s.sessions[key] = nil
    }
  }
}

enum PageLayout {
  static let body = Limits.pageBytes - Limits.pageReservedBytes
}

extension [UInt8] {
  init(rawSpan: RawSpan) {
    self = rawSpan.withUnsafeBytes { [UInt8]($0) }
  }

  /// Copies as many bytes as `target` has room for, from `offset` on.
  func copyBytes(from offset: Int, into target: inout MutableRawSpan) {
    withUnsafeBytes { source in
      target.withUnsafeMutableBytes { out in
        out.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<(offset + out.count)]))
      }
    }
  }
}
