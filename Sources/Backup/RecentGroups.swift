// The groups of pages that were asked for last: SQLite asks page by page.

import Threads

final class RecentGroups: Sendable {
  private let recent = Lock<[(number: Int, pages: [UInt8])]>([])
  private let read: @Sendable (Int) throws(BackupError) -> [UInt8]
  /// 2 MiB of pages.
  private static let groupsMax = 32

  init(_ read: @escaping @Sendable (Int) throws(BackupError) -> [UInt8]) { self.read = read }

  func group(_ number: Int) throws(BackupError) -> [UInt8] {
    let found = recent.with { recent -> [UInt8]? in
      guard let i = recent.lastIndex(where: { $0.number == number }) else { return nil }
      if i != recent.count - 1 { recent.append(recent.remove(at: i)) }
      return recent[recent.count - 1].pages
    }
    if let found { return found }
    let pages = try read(number)
    recent.with { recent in
      if recent.count >= Self.groupsMax { recent.removeFirst() }
      recent.append((number, pages))
    }
    return pages
  }
}
