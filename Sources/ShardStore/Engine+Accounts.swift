// Making and removing accounts: beside, then in place by a rename, so that there is never half of one.

package import AtRest
package import Base
import Disk
import Formats
import OpenSSL
import Threads

extension Engine {
  /// Makes an account's directory, keys and empty database; durable when it returns.
  package func createAccount(_ id: AccountID) async throws {
    try await onReader { try self.createAccountNow(id) }
    // A replica's first record is that of the epoch which this node is given.
    if !configuration.isReplicated { _ = try await write(id) { _ in } }
  }

  package func createAccountNow(_ id: AccountID) throws(StoreError) {
    guard !hasAccount(id) else { throw StoreError(.exists, "there is an account \(id) already") }
    let building = "\(configuration.accountsDirectory)/.new-\(id)"
    do {
      try storing { try disk.makeDirectory(building) }
      let keyring = try createKeyring(id, in: building)
      try layOut(id, in: building, keyring: keyring, base: .start, pages: 0)
      try install(building, as: id)
    } catch {
      try? disk.removeTree(building)
      throw error
    }
    _ = try openNow(id)
  }

  func createKeyring(_ id: AccountID, in directory: String, recordingName: SecretBytes? = nil) throws(StoreError)
    -> Keyring
  {
    let path = "\(directory)/\(Shard.keyringName)"
    do {
      return try Keyring.create(
        disk: disk, path: path, account: id, kek: kek.with { $0 }, recordingName: recordingName)
    } catch {
      throw StoreError(error, path)
    }
  }

  /// The files of an account whose log begins after `base`; all synced, names too. Gives the main file.
  @discardableResult
  func layOut(
    _ id: AccountID, in directory: String, keyring: Keyring, base: Position, pages: UInt32, direct: Bool = false
  ) throws(StoreError) -> MainFile {
    try storing {
      try disk.makeDirectory("\(directory)/\(Shard.segmentsName)")
      try disk.makeDirectory("\(directory)/\(Shard.volumesName)")
    }
    let main = try MainFile.create(
      disk: disk, directory: directory, account: id, wrap: keyring.pageWrap,
      plain: configuration.plantedBugs.contains(.sealingOff), direct: direct)
    let slot = RedoSlot(
      account: id, sequence: 1, mark: base, databasePages: pages, segmentsEnd: base, epoch: base.epoch)
    _ = try RedoFile.create(disk: disk, directory: directory, slot)
    try storing {
      try disk.syncDirectory("\(directory)/\(Shard.segmentsName)")
      try disk.syncDirectory("\(directory)/\(Shard.volumesName)")
      try disk.syncDirectory(directory)
    }
    return main
  }

  /// Gives a complete directory its place.
  func install(_ building: String, as id: AccountID) throws(StoreError) {
    try storing {
      try disk.syncDirectory(configuration.accountsDirectory)
      try disk.rename(building, to: directory(of: id))
      try disk.syncDirectory(configuration.accountsDirectory)
    }
    addEntry(id)
  }

  /// Removes an account with everything in its directory. Its archive is not touched.
  package func removeAccount(_ id: AccountID) async throws {
    try await onReader { try self.removeAccountNow(id) }
  }

  package func removeAccountNow(_ id: AccountID) throws(StoreError) {
    let entry = try entry(id)
    try entry.state.with { s throws(StoreError) in
      s.isGone = true
      s.shard?.fail(StoreError(.notFound, "account \(id) is removed"))
      s.shard?.shut()
      s.shard = nil
      s.log = nil
      entry.show(nil, nil)
      let gone = "\(configuration.accountsDirectory)/.gone-\(id)"
      try storing {
        try disk.rename(directory(of: id), to: gone)
        try disk.syncDirectory(configuration.accountsDirectory)
      }
      try disk.removeTree(gone)
    }
    removeEntry(id)
  }

  /// Seals every account's key under another key-encryption key; no data is rewritten. Can be repeated after a failure.
  package func rotate(to new: any KeyEncryption) throws(StoreError) {
    let old = kek.with { $0 }
    for id in accounts() {
      let path = "\(directory(of: id))/\(Shard.keyringName)"
      let open = try entry(id).state.with { $0.shard?.keyring }
      do { try Self.rewrap(open, disk, path, id, from: old, to: new) } catch { throw StoreError(error, path) }
    }
    kek.with { $0 = new }
  }

  private static func rewrap(
    _ open: Keyring?, _ disk: any Disk, _ path: String, _ id: AccountID, from old: any KeyEncryption,
    to new: any KeyEncryption
  ) throws(AtRestError) {
    if let open { return try open.rewrap(to: new) }
    // Rotated already, before an interruption: then it opens with the new one.
    if (try? Keyring.open(disk: disk, path: path, account: id, kek: new)) != nil { return }
    try Keyring.open(disk: disk, path: path, account: id, kek: old).rewrap(to: new)
  }

  /// The account's keyring, for backups and recovery files.
  package func keyring(_ id: AccountID) throws(StoreError) -> Keyring { try openNow(id).keyring }
}

extension Disk {
  /// Removes a directory with everything in it.
  func removeTree(_ path: String) throws(StoreError) {
    try storing {
      for name in try list(path) {
        let child = "\(path)/\(name)"
        if try info(child)?.isDirectory == true { try removeTree(child) } else { try remove(child) }
      }
      try removeDirectory(path)
    }
  }
}
