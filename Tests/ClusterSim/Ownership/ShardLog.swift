// The log of one shard on one node, as small as it can be: numbered entries, of which those that were synced survive a
// crash; writes reach the disk in order, and a write drops what stood at its place and behind it.

import Base
import Formats

struct ShardLog {
  struct Entry: Equatable {
    let epoch: Epoch
    /// Names the record: of a client's write, or of a primary's first.
    let id: UInt64
  }

  private struct Write {
    let serial: UInt64
    let offset: Int
    let entries: [Entry]
  }

  /// As the process sees it; index n stands at n - 1.
  private(set) var entries: [Entry] = []
  private(set) var durable: [Entry] = []
  private var writes: [Write] = []
  private var serial: UInt64 = 0
  /// Known to be held by a write set, in this life.
  var commit = 0
  /// So much of it agrees with the primary of this epoch.
  var verified: (epoch: Epoch, index: Int) = (0, 0)
  /// Who sent what was verified.
  var source: Int?

  var hasUnsynced: Bool { !writes.isEmpty }
  var place: LogPlace { LogPlace(epoch: durable.last?.epoch ?? 0, index: UInt64(durable.count)) }

  /// What agrees with the primary and cannot be lost any more.
  var acknowledgeable: Int { writes.reduce(verified.index) { min($0, $1.offset) } }

  /// Returns the number by which the sync is known.
  mutating func write(_ new: [Entry], at offset: Int) -> UInt64 {
    entries.removeSubrange(offset...)
    entries += new
    serial += 1
    writes.append(Write(serial: serial, offset: offset, entries: new))
    return serial
  }

  /// The writes up to `serial` are on the disk. Returns the first offset that changed.
  mutating func synced(_ serial: UInt64) -> Int? {
    var first: Int?
    while let write = writes.first, write.serial <= serial {
      durable.removeSubrange(write.offset...)
      durable += write.entries
      first = min(first ?? write.offset, write.offset)
      writes.removeFirst()
    }
    return first
  }

  /// Some of what was on its way arrived, in order.
  mutating func crash(_ random: inout SeededGenerator) {
    if let last = writes.last {
      let kept = UInt64(random.below(writes.count + 1))
      if kept > 0 { _ = synced(last.serial - UInt64(writes.count) + kept) }
    }
    writes = []
    entries = durable
    commit = 0
    verified = (0, 0)
  }

  /// The disk lost it.
  mutating func empty() {
    writes = []
    (entries, durable, commit, verified) = ([], [], 0, (0, 0))
  }
}
