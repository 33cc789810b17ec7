// Records that were durable here and that the account's log does not have: the tail of a primary whose epoch ended before
// a write set had them. Nobody was told that they are there, and nothing reads them but people who look for them.
//
// The layout is a segment's, in files of their own below `quarantine`, named by the first record's epoch and index.

import Base
import Disk
import Formats

enum Quarantine {
  static let name = "quarantine"

  /// Durable when it returns. The same records again change nothing.
  static func keep(_ records: [SealedRecord], disk: any Disk, directory: String) throws(StoreError) {
    guard let first = records.first?.header else { return }
    let folder = "\(directory)/\(name)"
    let path = "\(folder)/\(first.epoch)-\(SegmentHeader.fileName(firstIndex: first.index))"
    var bytes = SegmentHeader(account: first.account, firstIndex: first.index, previous: first.previous).encode()
    for record in records { bytes.append(contentsOf: record.frame) }
    let content = bytes
    try storing {
      try disk.makeDurableDirectory(folder)
      let file = try disk.open(path, .createOrOpen)
      try file.truncate(to: 0)
      try file.write(content, at: 0)
      try file.sync()
      try disk.syncDirectory(folder)
    }
  }

  /// The records of every file, by name: for the balance sheet of a failover.
  static func files(disk: any Disk, directory: String) throws(StoreError) -> [String] {
    try storing {
      guard try disk.info("\(directory)/\(name)") != nil else { return [] }
      return try disk.list("\(directory)/\(name)").sorted()
    }
  }
}
