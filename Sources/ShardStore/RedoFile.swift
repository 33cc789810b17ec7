// The two slots that say where redo begins; each write goes to the older one, when the newer one is durable for sure.

import Base
import Disk
import Formats
import Threads

final class RedoFile: Sendable {
  static let name = "redo.krdo"
  private let file: any DiskFile
  /// `isDurable` is false for a slot that was read: a killed process may have written it without a sync, or with one
  /// that failed, and then only the page cache has it.
  private let current: Lock<(slot: RedoSlot, isDurable: Bool)>
  /// Checkpoints and cuts write, one at a time.
  private let writing = Lock<Void>(())

  private init(_ file: any DiskFile, _ slot: RedoSlot, isDurable: Bool) {
    self.file = file
    current = Lock((slot, isDurable))
  }

  var slot: RedoSlot { current.with { $0.slot } }

  static func create(disk: any Disk, directory: String, _ first: RedoSlot) throws(StoreError) -> RedoFile {
    try storing {
      let file = try disk.open("\(directory)/\(name)", .create)
      // Both slots exist from the beginning, so that a damaged one is told from one that was never written.
      try file.write(first.encode(), at: 0)
      try file.write(first.encode(), at: UInt64(RedoSlot.spacing))
      try file.sync()
      return RedoFile(file, first, isDurable: true)
    }
  }

  static func open(disk: any Disk, directory: String, account: AccountID) throws(StoreError) -> RedoFile {
    let path = "\(directory)/\(name)"
    let (file, bytes) = try storing {
      let file = try disk.open(path, .readWrite)
      return (file, try file.read(RedoSlot.spacing + RedoSlot.byteCount, at: 0))
    }
    var best: RedoSlot?
    var fault: FormatError?
    for start in [0, RedoSlot.spacing] {
      guard bytes.count >= start + RedoSlot.byteCount else { continue }
      do {
        let slot = try RedoSlot(Array(bytes[start..<(start + RedoSlot.byteCount)]))
        if slot.account == account, slot.sequence >= best?.sequence ?? 0 { best = slot }
      } catch { fault = error }
    }
    guard let best else { throw StoreError(fault ?? FormatError(.foreign, "no redo slot"), in: path) }
    return RedoFile(file, best, isDurable: false)
  }

  /// Durable when it returns.
  func write(_ change: (inout RedoSlot) -> Void) throws(StoreError) {
    try writing.with { _ throws(StoreError) in try writeAlone(change) }
  }

  private func writeAlone(_ change: (inout RedoSlot) -> Void) throws(StoreError) {
    var (slot, isDurable) = current.with { $0 }
    // Else a crash that tears the write below could leave neither slot.
    if !isDurable {
      try put(slot)
      current.with { $0.isDurable = true }
    }
    change(&slot)
    slot.sequence += 1
    try put(slot)
    let next = slot
    current.with { $0 = (next, true) }
  }

  private func put(_ slot: RedoSlot) throws(StoreError) {
    try storing {
      try file.write(slot.encode(), at: slot.sequence % 2 == 0 ? 0 : UInt64(RedoSlot.spacing))
      try file.sync()
    }
  }
}
