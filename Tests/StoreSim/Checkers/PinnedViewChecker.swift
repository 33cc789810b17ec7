// I6: a pinned view stays exactly one position while the account goes on.

import ShardStore

struct PinnedViewChecker {
  let view: PinnedView
  private let pages: [[UInt8]]

  init(_ view: PinnedView) throws {
    self.view = view
    pages = try Self.read(view)
  }

  private static func read(_ view: PinnedView) throws -> [[UInt8]] {
    guard view.pageCount > 0 else { return [] }
    return try (1...view.pageCount).map { try view.readPage(UInt32($0)) }
  }

  func check() throws {
    let now = try Self.read(view)
    for (i, page) in now.enumerated() where page != pages[i] {
      throw Violation(checker: "pinned views", message: "page \(i + 1) of the view at \(view.position) has changed")
    }
  }
}
