// The database that is to take the account's place, as SQLite sees it: pages of its own over those of a pinned view, which
// has what does not differ. It can be written, so that rows that must not go back are put right before it counts.

import Base
import Formats
import SQLite
import Threads

final class ReplacementPages: PageHost {
  struct State {
    var images: [PageNumber: [UInt8]]
    var pageCount: UInt32
  }
  let state: Lock<State>
  private let view: PinnedView
  private let temporary: TemporaryQuota

  init(_ replacement: Replacement, temporary: TemporaryQuota) {
    state = Lock(State(images: replacement.images, pageCount: UInt32(replacement.pageCount)))
    view = replacement.view
    self.temporary = temporary
  }

  func openSession(readOnly: Bool) -> (any PageSession)? { ReplacementSession(self) }
  func openTemporary() -> (any TemporaryStorage)? { SealedTemporary(quota: temporary) }

  func page(_ number: PageNumber) throws(StoreError) -> [UInt8] {
    if let image = state.with({ $0.images[number] }) { return image }
    guard number <= view.pageCount else { return PageChange.zeros }
    return try view.readPage(number)
  }
}

private final class ReplacementSession: PageSession {
  private let host: ReplacementPages
  private var overlay: [PageNumber: [UInt8]] = [:]
  private var overlayPages: UInt32?
  private(set) var isReserved = false

  init(_ host: ReplacementPages) { self.host = host }

  func lockShared() -> PageLockResult { .ok }
  func reserve() -> PageLockResult {
    isReserved = true
    return .ok
  }
  func unlockToShared() {
    overlay = [:]
    overlayPages = nil
    isReserved = false
  }
  func unlock() { unlockToShared() }
  var pageCount: UInt32 { overlayPages ?? host.state.with { $0.pageCount } }

  func read(page number: UInt32, at offset: Int, into bytes: inout MutableRawSpan) -> PageReadResult {
    guard number <= pageCount else { return .beyondEnd }
    do throws(StoreError) {
      let page = if let own = overlay[number] { own } else { try host.page(number) }
      page.copyBytes(from: offset, into: &bytes)
      return .ok
    } catch { return error.code == .damaged ? .damaged : .failed }
  }

  func write(page number: UInt32, _ bytes: RawSpan) -> PageWriteResult {
    guard Int(number) <= Limits.databasePagesMax else { return .tooLarge }
    overlayPages = max(pageCount, number)
    overlay[number] = PageLayout.image(bytes)
    return .ok
  }

  func truncate(pages: UInt32) { overlayPages = pages }

  func commit() -> PageCommitResult {
    guard let first = overlay[1] else { return .ok }
    let pages = PageHeader.databasePages(first)
    host.state.with { s in
      s.images.merge(overlay) { $1 }
      s.pageCount = pages
    }
    overlay = [:]
    overlayPages = nil
    return .ok
  }

  func close() {}
}

/// Fields of a database's first 100 bytes (https://www.sqlite.org/fileformat2.html).
enum PageHeader {
  static let changeCounter = 24
  static let pages = 28
  static let schemaCookie = 40
  static let versionValidFor = 92

  static func databasePages(_ first: [UInt8]) -> UInt32 { field(first, pages) }

  static func field(_ page: [UInt8], _ offset: Int) -> UInt32 {
    page[offset..<(offset + 4)].reduce(0) { $0 << 8 | UInt32($1) }
  }

  static func set(_ page: inout [UInt8], _ offset: Int, _ value: UInt32) {
    for i in 0..<4 { page[offset + i] = UInt8(truncatingIfNeeded: value >> UInt32(8 * (3 - i))) }
  }
}

extension PageLayout {
  /// A page as SQLite writes it, without what it has in the reserved bytes: those are the seal's.
  static func image(_ bytes: RawSpan) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: Limits.pageBytes) { image, count in
      let target = UnsafeMutableRawBufferPointer(image)
      bytes.withUnsafeBytes { target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<body])) }
      for i in body..<Limits.pageBytes { target[i] = 0 }
      count = Limits.pageBytes
    }
  }
}
