// What a keyring's file says without any key: header, slots, and where each entry lies.
//
// Tells the torn end of a write that nobody was told about (`tornEnd`) from damage, which is thrown with its offset.

import Base
import Disk
import Formats

struct KeyringImage {
  /// What an entry is for.
  struct Name: Hashable {
    var kind: KeyringFrame.Kind
    var id: UInt128
  }

  var header: KeyringHeader
  var slot: KeyringSlot
  /// Offset of a slot that is not whole; the other one serves.
  var brokenSlot: Int?
  var recordings: [RecordingID: UInt64] = [:]
  var others: [Name: UInt64] = [:]
  var end = KeyringSectors.End.start
  var size: UInt64
  /// Something follows the last whole entry.
  var tornEnd: Bool { size > end.offset }

  private static let chunkBytes = 1 << 20

  /// `read` gives up to so many bytes from an offset.
  init(size: UInt64, read: (Int, UInt64) throws(AtRestError) -> [UInt8]) throws(AtRestError) {
    self.size = size
    let front = try read(KeyringFrame.firstOffset, 0)
    do throws(FormatError) { header = try KeyringHeader(front) } catch { throw AtRestError(error) }
    let slots = Self.slots(front, fileID: header.fileID)
    brokenSlot = zip(slots, KeyringSlot.offsets).first { $0.0 == nil }?.1
    guard let newest = slots.compactMap({ $0 }).max(by: { $0.sequence < $1.sequence }) else {
      throw AtRestError(.damaged, "neither slot of the keyring is whole", at: KeyringSlot.offsets[0])
    }
    slot = newest
    try scan(read)
    if end.offset < slot.syncedBytes {
      let offset = Int(end.strange ?? end.offset)
      throw AtRestError(.damaged, "the keyring is damaged before its synced end at \(slot.syncedBytes)", at: offset)
    }
  }

  private static func slots(_ front: [UInt8], fileID: [UInt8]) -> [KeyringSlot?] {
    KeyringSlot.offsets.map { offset in
      guard front.count >= offset + KeyringSlot.byteCount else { return nil }
      let slot = KeyringSlot(Array(front[offset..<(offset + KeyringSlot.byteCount)]), fileID: fileID)
      return slot?.offset == offset ? slot : nil
    }
  }

  private mutating func scan(_ read: (Int, UInt64) throws(AtRestError) -> [UInt8]) throws(AtRestError) {
    var offset = end.offset
    // About five entries of a recording to a sector: the table grows once.
    recordings.reserveCapacity(Int(min(size, 1 << 30)) / KeyringFrame.sectorBytes * 5)
    while offset < size, end.strange == nil {
      let sectors = try read(Self.chunkBytes, offset)
      if sectors.isEmpty { break }
      let before = end
      end = try KeyringSectors.walk(sectors, from: before, at: offset) { (entry) throws(AtRestError) in
        try note(entry)
      }
      guard end.frames <= UInt64(Limits.keyringEntriesMax) else {
        throw AtRestError(.tooLarge, "a keyring of more than \(Limits.keyringEntriesMax) entries", at: Int(offset))
      }
      offset += UInt64(sectors.count)
    }
  }

  private mutating func note(_ entry: KeyringSectors.Entry) throws(AtRestError) {
    let before =
      entry.kind == .recording
      ? recordings.updateValue(entry.place, forKey: RecordingID(bits: entry.id))
      : others.updateValue(entry.place, forKey: Name(kind: entry.kind, id: entry.id))
    guard before == nil else {
      throw AtRestError(.damaged, "a keyring with two entries for one key", at: Int(entry.place))
    }
  }
}

extension AtRestError {
  init(_ error: FormatError) {
    let code: Code =
      switch error.code {
      case .version: .refused
      case .limit: .tooLarge
      case .foreign, .truncated, .damaged: .damaged
      }
    self.init(code, error.message, at: error.offset)
  }
}

extension DiskFile {
  /// As `read`, with this module's error.
  func bytes(_ count: Int, at offset: UInt64) throws(AtRestError) -> [UInt8] {
    do throws(DiskError) { return try read(count, at: offset) } catch { throw AtRestError(error) }
  }
}

/// Runs `body` with this module's error.
func onDisk<R>(_ body: () throws(DiskError) -> R) throws(AtRestError) -> R {
  do throws(DiskError) { return try body() } catch { throw AtRestError(error) }
}
