// A database that is built in memory, page by page, before it is written where it belongs: how large it is is known only
// at its end, and nothing that was not chosen ever comes near it.

import Base
import Formats
import SQLite
import Threads

final class SelectionPages: PageHost {
  private let content = Lock<[[UInt8]]>([])
  /// 256 MiB.
  static let pagesMax = 1 << 16

  var count: Int { content.with(\.count) }
  func page(_ number: PageNumber) -> [UInt8] { content.with { $0[Int(number) - 1] } }

  func openSession(readOnly: Bool) -> (any PageSession)? { Session(self) }
  // What a sorter needs stays in memory (`PRAGMA temp_store`).
  func openTemporary() -> (any TemporaryStorage)? { nil }

  /// The finished database, for reading.
  var host: ReadOnlyPages {
    ReadOnlyPages(pageCount: count) { [self] (number) throws(BackupError) in page(number)[...] }
  }

  private final class Session: PageSession {
    private let host: SelectionPages
    private var overlay: [UInt32: [UInt8]] = [:]
    private var size: UInt32?
    private(set) var isReserved = false

    init(_ host: SelectionPages) { self.host = host }

    func lockShared() -> PageLockResult { .ok }

    func reserve() -> PageLockResult {
      isReserved = true
      return .ok
    }

    func unlockToShared() {
      overlay = [:]
      size = nil
      isReserved = false
    }

    func unlock() { unlockToShared() }
    var pageCount: UInt32 { size ?? max(UInt32(host.count), overlay.keys.max() ?? 0) }

    func read(page number: UInt32, at offset: Int, into bytes: inout MutableRawSpan) -> PageReadResult {
      let stored = overlay[number] ?? host.content.with { $0.count >= Int(number) ? $0[Int(number) - 1] : nil }
      guard let page = stored, offset + bytes.byteCount <= page.count else { return .beyondEnd }
      page.withUnsafeBytes { page in
        bytes.withUnsafeMutableBytes {
          $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: page[offset..<(offset + $0.count)]))
        }
      }
      return .ok
    }

    func write(page number: UInt32, _ bytes: RawSpan) -> PageWriteResult {
      guard Int(number) <= SelectionPages.pagesMax else { return .tooLarge }
      overlay[number] = bytes.withUnsafeBytes { [UInt8]($0) }
      return .ok
    }

    func truncate(pages: UInt32) { size = pages }

    func commit() -> PageCommitResult {
      // SQLite truncates after the gate, so the size is the header's.
      let header = overlay[1].map { page in page[28..<32].reduce(0) { $0 << 8 | UInt32($1) } }
      let count = Int(header ?? pageCount)
      host.content.with { pages in
        for (number, page) in overlay {
          while pages.count < number { pages.append([UInt8](repeating: 0, count: Limits.pageBytes)) }
          pages[Int(number) - 1] = page
        }
        if pages.count > count { pages.removeLast(pages.count - count) }
      }
      return .ok
    }

    func close() {}
  }
}
