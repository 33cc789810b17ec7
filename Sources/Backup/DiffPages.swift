// Two states of a database as two hosts for SQLite. What has the same name on both sides is read from one of them, so a
// group that did not change is opened once although both databases are read.

import Base
import Formats
import Threads

package struct DiffPages: Sendable {
  let old: DiffState
  let new: DiffState
  private let seen: Seen

  /// Which groups were read, for the progress: on the old side all count, on the new side those that differ.
  private final class Seen: Sendable {
    private let flags: Lock<[Bool]>
    private let meter: ProgressMeter

    init(count: Int, differing: Int, _ progress: @escaping @Sendable (Double) -> Void) {
      flags = Lock([Bool](repeating: false, count: count))
      meter = ProgressMeter(total: Double(differing), progress)
    }

    func note(_ index: Int) {
      let isNew = flags.with { flags in
        defer { flags[index] = true }
        return !flags[index]
      }
      if isNew { meter.advance(1) }
    }
  }

  package init(old: DiffState, new: DiffState, progress: @escaping @Sendable (Double) -> Void) {
    self.old = old
    self.new = new
    let equal = zip(old.groups, new.groups).count { $0 == $1 }
    seen = Seen(
      count: old.groups.count + new.groups.count, differing: old.groups.count + new.groups.count - equal, progress)
  }

  /// Whether both databases are the same, page for page.
  package var areEqual: Bool { old.pageCount == new.pageCount && old.groups == new.groups }

  /// The first time that both hosts meet a page decides nothing: they may be used side by side.
  package var hosts: (old: ReadOnlyPages, new: ReadOnlyPages) {
    let (old, new, seen) = (old, new, seen)
    let oldHost = ReadOnlyPages(pageCount: old.pageCount) { (page) throws(BackupError) in
      let number = Int(page - 1) / Limits.snapshotGroupPages
      seen.note(number)
      return try Self.page(page, in: old.group(number))
    }
    let newHost = ReadOnlyPages(pageCount: new.pageCount) { (page) throws(BackupError) in
      let number = Int(page - 1) / Limits.snapshotGroupPages
      let isShared = number < old.groups.count && old.groups[number] == new.groups[number]
      seen.note(isShared ? number : old.groups.count + number)
      return try Self.page(page, in: isShared ? old.group(number) : new.group(number))
    }
    return (oldHost, newHost)
  }

  private static func page(_ number: PageNumber, in group: [UInt8]) -> ArraySlice<UInt8> {
    let start = Int(number - 1) % Limits.snapshotGroupPages * Limits.pageBytes
    return group[start..<(start + Limits.pageBytes)]
  }
}
