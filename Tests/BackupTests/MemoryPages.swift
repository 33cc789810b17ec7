// A database in memory with the page layout of an account, for tests that need real SQLite content without an engine.

import Base
import SQLite
import Threads

final class MemoryPages: PageHost {
  private let content = Lock<[[UInt8]]>([])

  var pages: [[UInt8]] { content.with { $0 } }

  /// Runs `body` on a connection that writes to these pages.
  func use(_ body: (Connection) throws -> Void) throws {
    let connection = try Connection(pages: PagesVFS(host: self), readOnly: false)
    try body(connection)
  }

  func openSession(readOnly: Bool) -> (any PageSession)? { Session(self) }
  func openTemporary() -> (any TemporaryStorage)? { nil }

  private final class Session: PageSession {
    private let host: MemoryPages
    private var overlay: [UInt32: [UInt8]] = [:]
    private var size: UInt32?
    private(set) var isReserved = false

    init(_ host: MemoryPages) { self.host = host }

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
    var pageCount: UInt32 { size ?? max(UInt32(host.pages.count), overlay.keys.max() ?? 0) }

    func read(page number: UInt32, at offset: Int, into bytes: inout MutableRawSpan) -> PageReadResult {
      let stored = host.pages
      guard let page = overlay[number] ?? (number <= stored.count ? stored[Int(number) - 1] : nil) else {
        return .beyondEnd
      }
      for i in 0..<bytes.byteCount { bytes.storeBytes(of: page[offset + i], toByteOffset: i, as: UInt8.self) }
      return .ok
    }

    func write(page number: UInt32, _ bytes: RawSpan) -> PageWriteResult {
      overlay[number] = (0..<bytes.byteCount).map { bytes.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
      return .ok
    }

    func truncate(pages: UInt32) { size = pages }

    func commit() -> PageCommitResult {
      let count = Int(overlay[1].map { page in page[28..<32].reduce(0) { $0 << 8 | UInt32($1) } } ?? pageCount)
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
