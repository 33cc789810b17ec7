// An (epoch, index) is never used for two records: it looks at the bytes on their way to the disk, and after a crash at
// those that came back. A record that no file holds any more may have left its place to another.

import Base
import Formats

struct IndexChecker {
  struct Place: Hashable {
    var account: AccountID
    var epoch: Epoch
    var index: LogIndex
  }

  private var used: [Place: Checksum] = [:]
  private(set) var records = 0

  mutating func note(_ records: [RecordHeader]) throws(Violation) {
    self.records += records.count
    for record in records {
      let place = Place(account: record.account, epoch: record.epoch, index: record.index)
      if let other = used.updateValue(record.checksum, forKey: place), other != record.checksum {
        throw Violation(
          checker: "index used once",
          message: "record \(record.epoch).\(record.index) of account \(record.account) gets another content")
      }
    }
  }

  /// After a crash: only what is still readable, and what readers saw, counts.
  mutating func forgetLost(found: Set<Checksum>, keeping isStable: (Place) -> Bool) {
    used = used.filter { found.contains($0.value) || isStable($0.key) }
  }
}
