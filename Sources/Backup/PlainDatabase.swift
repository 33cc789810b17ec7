// The database that an offline restore writes: a stock SQLite file, page after page. While it is brought up to a moment it
// is read as well.

import Base
import Disk
import Formats

final class PlainDatabase: MomentPages, Sendable {
  private let file: any DiskFile

  init(file: any DiskFile) { self.file = file }

  private static func offset(_ number: PageNumber) -> UInt64 { UInt64(number - 1) * UInt64(Limits.pageBytes) }

  func readPage(_ number: PageNumber) throws -> [UInt8] {
    let bytes = try file.read(Limits.pageBytes, at: Self.offset(number))
    guard bytes.count == Limits.pageBytes else {
      throw BackupError(.io, "page \(number) is not in the file any more", path: file.path)
    }
    return bytes
  }

  func writePage(_ number: PageNumber, _ bytes: [UInt8]) throws { try file.write(bytes, at: Self.offset(number)) }

  /// Cuts it to `pages` and makes it durable.
  func finish(pages: Int) throws {
    try file.truncate(to: UInt64(pages) * UInt64(Limits.pageBytes))
    try file.sync()
  }

  func host(pages: Int) -> ReadOnlyPages {
    ReadOnlyPages(pageCount: pages) { [self] (number) throws(BackupError) in
      do { return try readPage(number)[...] } catch { throw BackupError(anyOf: error) }
    }
  }
}
