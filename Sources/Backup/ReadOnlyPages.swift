// Pages that come from anywhere and never change, as a database for SQLite: a pinned view, a snapshot in an archive.
//
// A page that cannot be had stops the query; why is kept in `failure`, because SQLite only passes a code on.

package import Base
package import SQLite
import Threads

package final class ReadOnlyPages: PageHost {
  private let read: @Sendable (PageNumber) throws(BackupError) -> ArraySlice<UInt8>
  private let firstFailure = Lock<BackupError?>(nil)
  package let pageCount: UInt32

  /// `read` gives the 4096 bytes of a page between 1 and `pageCount`.
  package init(pageCount: Int, _ read: @escaping @Sendable (PageNumber) throws(BackupError) -> ArraySlice<UInt8>) {
    self.pageCount = UInt32(pageCount)
    self.read = read
  }

  /// Why the first read that failed did.
  package var failure: BackupError? { firstFailure.with { $0 } }

  /// Runs `body` on a connection; a page that could not be read is thrown as what it was, not as SQLite's code.
  package func query<T>(_ body: (Connection) throws -> T) throws(BackupError) -> T {
    do { return try body(try Connection(pages: PagesVFS(host: self), readOnly: true)) } catch {
      if let failure { throw failure }
      if let error = error as? BackupError { throw error }
      throw BackupError(.failed, "the database does not answer: \(error)")
    }
  }

  package func openSession(readOnly: Bool) -> (any PageSession)? { ReadOnlySession(self) }
  // A sorter that outgrows its cache has nowhere sealed to go.
  package func openTemporary() -> (any TemporaryStorage)? { nil }

  fileprivate func read(page number: UInt32, at offset: Int, into bytes: inout MutableRawSpan) -> PageReadResult {
    guard number >= 1, number <= pageCount else { return .beyondEnd }
    IdlePause.take()
    let page: ArraySlice<UInt8>
    do { page = try read(number) } catch {
      firstFailure.with { $0 = $0 ?? error }
      return error.code == .damaged ? .damaged : .failed
    }
    guard offset + bytes.byteCount <= page.count else { return .failed }
    page.withUnsafeBytes { page in
      bytes.withUnsafeMutableBytes {
        $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: page[offset..<(offset + $0.count)]))
      }
    }
    return .ok
  }
}

/// One connection's view; nothing changes, so there is nothing to pin.
private final class ReadOnlySession: PageSession {
  private let pages: ReadOnlyPages

  init(_ pages: ReadOnlyPages) { self.pages = pages }

  var pageCount: UInt32 { pages.pageCount }
  var isReserved: Bool { false }
  func lockShared() -> PageLockResult { .ok }
  func reserve() -> PageLockResult { .readOnly }
  func unlockToShared() {}
  func unlock() {}
  func read(page number: UInt32, at offset: Int, into bytes: inout MutableRawSpan) -> PageReadResult {
    pages.read(page: number, at: offset, into: &bytes)
  }
  func write(page number: UInt32, _ bytes: RawSpan) -> PageWriteResult { .failed }
  func truncate(pages: UInt32) {}
  func commit() -> PageCommitResult { .refused }
  func close() {}
}
