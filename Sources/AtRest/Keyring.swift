// An account's keys in a file of their own: wrapped account key, the account's named keys, one key per recording.
//
// The file only grows; a destroyed key, or another key-encryption key, means a new file that takes the old one's name.
// Keys of recordings stay on disk and are opened when asked for, so that memory holds 24 bytes for each and no keys. A
// wrong key-encryption key says so and touches nothing. Every method may block on the disk.

package import Base
package import Disk
import Formats
package import OpenSSL
import Threads

package final class Keyring: Sendable {
  struct State {
    var file: any DiskFile
    var image: KeyringImage
    var syncedBytes: UInt64
    /// Somebody reads or replaces the file as a whole; appends wait.
    var exclusive = false
    /// A sync failed or a rename is in doubt: what the file holds is known only after it is opened again.
    var failed = false
  }

  package let account: AccountID
  package let path: String
  /// The root of this keyring, for the recovery file.
  package let accountKey: SecretBytes
  package let keys: AccountKeys
  let disk: any Disk
  let sealer: KeyringSealer
  let state: Lock<State>
  private let sharedSync = SharedSync<DiskError>()

  package var pageWrap: SecretBytes { keys.pageWrap }
  package var logWrap: SecretBytes { keys.logWrap }
  package var archive: SecretBytes { keys.archive }
  package var recordingName: SecretBytes { keys.recordingName }
  package var signing: (private: SecretBytes, public: [UInt8]) { (keys.signing, keys.signingPublic) }
  package var agreement: (private: SecretBytes, public: [UInt8]) { (keys.agreement, keys.agreementPublic) }

  private init(
    disk: any Disk, path: String, file: any DiskFile, image: KeyringImage, accountKey: SecretBytes, keys: AccountKeys
  ) {
    account = image.header.account
    self.disk = disk
    self.path = path
    self.accountKey = accountKey
    self.keys = keys
    sealer = KeyringSealer(account: account, accountKey: accountKey)
    state = Lock(State(file: file, image: image, syncedBytes: image.slot.syncedBytes))
  }

  /// Draws an account key and the account's keys and writes them, durable when this returns. `.exists` when there is a
  /// file already, whatever it holds. A restored account takes over `recordingName`, since its rows hold such names.
  package static func create(
    disk: any Disk, path: String, account: AccountID, kek: any KeyEncryption, recordingName: SecretBytes? = nil
  ) throws(AtRestError) -> Keyring {
    guard try onDisk({ () throws(DiskError) in try disk.info(path) }) == nil else {
      throw AtRestError(.exists, "there is a keyring already: \(path)")
    }
    let accountKey = SecretBytes.random(32)
    let sealer = KeyringSealer(account: account, accountKey: accountKey)
    let wrap = KeyringHeader.Wrap(keyID: kek.id, wrapped: try kek.wrap(accountKey, for: account))
    var drawn: [KeyringFrame.Kind: SecretBytes] = [:]
    for kind in AccountKeys.kinds { drawn[kind] = SecretBytes.random(32) }
    if let recordingName { drawn[.recordingName] = recordingName }
    var writer = try KeyringWriter(disk: disk, path: path, account: account, wraps: [wrap])
    do throws(AtRestError) {
      for kind in AccountKeys.kinds {
        try writer.append(sealer.seal(drawn[kind]!, kind: kind, id: AccountKeys.noID, number: 0))
      }
      var renamed = false
      let (file, image) = try writer.finish(renamed: &renamed)
      let keys = try AccountKeys { (kind) throws(AtRestError) in drawn[kind]! }
      return Keyring(disk: disk, path: path, file: file, image: image, accountKey: accountKey, keys: keys)
    } catch {
      writer.abandon()
      throw error
    }
  }

  /// `.notFound` without a file, `.wrongKey`, `.damaged` with the offset; none of these changes anything. The torn end of
  /// a write that was never synced is cut off.
  package static func open(
    disk: any Disk, path: String, account: AccountID, kek: any KeyEncryption
  ) throws(AtRestError) -> Keyring {
    try open(disk: disk, path: path, account: account, unlockedBy: .keyEncryption(kek))
  }

  package static func open(
    disk: any Disk, path: String, account: AccountID, unlockedBy unlock: KeyringUnlock
  ) throws(AtRestError) -> Keyring {
    let file = try onDisk { () throws(DiskError) in try disk.open(path, .readWrite) }
    let size = try onDisk { () throws(DiskError) in try file.size() }
    var image = try KeyringImage(size: size) { (count, offset) throws(AtRestError) in
      try file.bytes(count, at: offset)
    }
    guard image.header.account == account else {
      throw AtRestError(.wrongKey, "the keyring belongs to account \(image.header.account), not to \(account)")
    }
    let accountKey = try unlock.accountKey(of: image.header)
    let sealer = KeyringSealer(account: account, accountKey: accountKey)
    let keys = try KeyringUnlock.keys(image, sealer) { (place) throws(AtRestError) in
      try KeyringUnlock.frame(try file.bytes(KeyringFrame.sectorBytes, at: place), at: place)
    }
    try KeyringRepair.settle(&image, file, disk: disk, path: path)
    return Keyring(disk: disk, path: path, file: file, image: image, accountKey: accountKey, keys: keys)
  }

  /// Makes every appended key durable. After a failure the keyring refuses everything until it is opened again.
  package func sync() throws(AtRestError) {
    let (fileID, end, synced) = try state.with { (s) throws(AtRestError) in
      try Self.check(s)
      return (s.image.header.fileID, s.image.end.offset, s.syncedBytes)
    }
    guard end > synced else { return }
    do throws(DiskError) {
      // The file of that moment: one that has taken over since holds what was added before.
      try sharedSync.run { () throws(DiskError) in try state.with { $0.file }.sync() }
    } catch {
      state.with { $0.failed = true }
      throw AtRestError(error)
    }
    try state.with { (s) throws(AtRestError) in
      // Another file has taken over meanwhile; it was synced as a whole.
      guard s.image.header.fileID == fileID, end > s.syncedBytes else { return }
      s.syncedBytes = end
      try Self.advanceSlot(&s)
    }
  }

  /// `sync`, and the mark that all of it was synced is durable as well: from then on any damage is told from a torn end.
  /// For quiet moments; without it the mark becomes durable with the next `sync`.
  package func settle() throws(AtRestError) {
    try sync()
    let file = state.with { $0.file }
    try onDisk { () throws(DiskError) in try file.sync() }
  }

  static func check(_ state: State) throws(AtRestError) {
    if state.failed { throw AtRestError(.closed, "the keyring failed earlier and must be opened again") }
  }

  private static func advanceSlot(_ s: inout State) throws(AtRestError) {
    let slot = KeyringSlot(
      fileID: s.image.header.fileID, sequence: s.image.slot.sequence + 1, syncedBytes: s.syncedBytes)
    let file = s.file
    do throws(DiskError) { try file.write(slot.encode(), at: UInt64(slot.offset)) } catch {
      s.failed = true
      throw AtRestError(error)
    }
    s.image.slot = slot
  }
}
