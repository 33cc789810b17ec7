// What an opened keyring needs before it is written to: nothing, unless its last user ended in the middle of something.

import Disk
import Formats

enum KeyringRepair {
  /// Cuts a torn end, makes what lies behind the known synced end durable, and writes the slot anew.
  ///
  /// Entries that are read here may lie in the page cache only, and after a sync that failed the cache calls them clean:
  /// so they are written once more before they are synced. The name gets its sync too: a process that was killed between
  /// a rename and the sync of the directory leaves a name that a power failure would take back.
  static func settle(
    _ image: inout KeyringImage, _ file: any DiskFile, disk: any Disk, path: String
  ) throws(AtRestError) {
    try onDisk { () throws(DiskError) in try disk.syncDirectory(KeyringWriter.directory(of: path)) }
    let (synced, end, size) = (image.slot.syncedBytes, image.end.offset, image.size)
    guard size > end || end > synced || image.brokenSlot != nil else { return }
    let slot = KeyringSlot(
      fileID: image.header.fileID, sequence: image.slot.sequence + 1, syncedBytes: end)
    try onDisk { () throws(DiskError) in
      if size > end { try file.truncate(to: end) }
      var at = synced
      while at < end {
        let bytes = try file.read(Int(min(1 << 20, end - at)), at: at)
        guard !bytes.isEmpty else { break }
        try file.write(bytes, at: at)
        at += UInt64(bytes.count)
      }
      try file.sync()
      try file.write(slot.encode(), at: UInt64(slot.offset))
    }
    image.slot = slot
    image.size = end
    image.brokenSlot = nil
  }
}
