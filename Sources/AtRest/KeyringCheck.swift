// What can be said of a keyring's file without any key: for `komora verify`.

package import Base
package import Disk
import Formats

package struct KeyringCheck: Sendable {
  package var account: AccountID
  /// Ids of the key-encryption keys that the account key is wrapped under.
  package var keyIDs: [String]
  package var entries: Int
  package var recordings: Int
  /// Bytes behind the last entry: the torn end of a write that nobody was told about, which `open` cuts off.
  package var tornBytes: Int
  /// Damage that `open` repairs by itself, with its offset.
  package var repairable: AtRestError?

  /// Throws `.damaged` with the offset for what `open` would refuse.
  package init(disk: any Disk, path: String) throws(AtRestError) {
    let file = try onDisk { () throws(DiskError) in try disk.open(path, .read) }
    let size = try onDisk { () throws(DiskError) in try file.size() }
    self.init(
      try KeyringImage(size: size) { (count, offset) throws(AtRestError) in try file.bytes(count, at: offset) })
  }

  /// The same of a copy in memory, such as the archive's.
  package init(state: [UInt8]) throws(AtRestError) {
    self.init(
      try KeyringImage(size: UInt64(state.count)) { (count, offset) in
        Array(state[min(Int(offset), state.count)..<min(Int(offset) + count, state.count)])
      })
  }

  private init(_ image: KeyringImage) {
    account = image.header.account
    keyIDs = image.header.wraps.map(\.keyID)
    entries = image.recordings.count + image.others.count
    recordings = image.recordings.count
    tornBytes = Int(image.size - image.end.offset)
    repairable = image.brokenSlot.map {
      AtRestError(.damaged, "a slot of the keyring is damaged; the other one serves", at: $0)
    }
  }
}

extension Keyring {
  /// Opens every entry: proves that all keys of recordings are whole. Gives their number; `.damaged` with the offset.
  package func checkEverySeal() throws(AtRestError) -> Int {
    var count = 0
    for id in recordingIDs() where try recordingKey(id) != nil { count += 1 }
    return count
  }
}
