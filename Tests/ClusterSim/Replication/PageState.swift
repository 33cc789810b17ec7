// What a replica's database says at one position: a few pages with the index of the record that made each. A transaction
// of several records shows only whole, and is void when a record of a later epoch follows its part.

import Base
import Formats

struct PageState: Equatable {
  struct Page: Equatable {
    var version: LogIndex = 0
    var value: UInt64 = 0
  }

  private(set) var position = Position.start
  var pages = [Page](repeating: Page(), count: SimulatedRecord.pages)
  private var group: [UInt8: Page] = [:]
  private var groupEpoch: Epoch = 0

  /// As the writer sees it, in the middle of a transaction too.
  func page(_ number: UInt8) -> Page { group[number] ?? pages[Int(number)] }

  /// The pages that the record shows, when it ends its group. Nil when it does not fit: another base, or another result.
  mutating func apply(_ record: SealedRecord, checksBase: Bool = true) -> [UInt8: Page]? {
    if record.header.epoch != groupEpoch { group = [:] }
    groupEpoch = record.header.epoch
    if let change = SimulatedRecord.change(record) {
      let before = page(change.page)
      let value = before.value ^ change.difference
      if checksBase { guard before.version == change.base, value == change.result else { return nil } }
      group[change.page] = Page(version: record.header.index, value: value)
    }
    position = record.position
    guard !record.header.continues else { return [:] }
    for (number, page) in group { pages[Int(number)] = page }
    defer { group = [:] }
    return group
  }
}
