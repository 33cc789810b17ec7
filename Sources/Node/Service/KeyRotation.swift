// A new key-encryption key for a node that is stopped.
//
// The next key lies beside the current one from the first step on. Then every account's keyring is wrapped by it, the
// copies in the archive follow, then the control store, and last the next key takes the current one's name, which
// removes the old key. An interruption anywhere leaves both keys; the same command goes on. A node does not start in
// between. No data is rewritten.

import AtRest
import Backup
import Base
import ControlStores
import Disk
import ShardStore

package enum KeyRotation {
  package struct Report: Sendable, Equatable {
    package var accounts: Int
    package var keyID: String
  }

  package static func run(_ configuration: NodeConfiguration) async throws(NodeError) -> Report {
    guard case .file(let path) = configuration.keys else {
      throw NodeError(
        .refused, "only a key of provider \"file\" is rotated here: change a passphrase or command where it is kept")
    }
    do {
      return try await blocking { try rotate(configuration, path) }
    } catch {
      throw NodeError(describing: error)
    }
  }

  private static func rotate(_ configuration: NodeConfiguration, _ path: String) throws -> Report {
    let disk = RealDisk()
    let lock = try DirectoryLock(directory: configuration.paths.data)
    defer { lock.release() }
    let next = KeyEncryptionSource.nextFile(path)
    let old = try FileKeyEncryption(path: path)
    let new = try FileKeyEncryption(path: next, creating: try disk.info(next) == nil)
    let controlPath = configuration.paths.data + "/control.sqlite"
    guard try disk.info(controlPath) != nil else {
      throw NodeError(.notFound, "\(controlPath) is missing: name the configuration of a node that has run")
    }
    let (store, isDone) = try openStore(controlPath, old, new)
    defer { store.close() }
    var accounts = 0
    if !isDone {
      accounts = try rewrapAccounts(configuration, disk, old, new)
      try store.rewrap(to: new)
    }
    try disk.rename(next, to: path)
    try disk.syncDirectory(configuration.paths.keys)
    return Report(accounts: accounts, keyID: new.id)
  }

  /// True when an earlier run came as far as the store, which is the last thing to be wrapped.
  private static func openStore(
    _ path: String, _ old: any KeyEncryption, _ new: any KeyEncryption
  ) throws -> (EmbeddedControlStore, Bool) {
    do {
      return (try EmbeddedControlStore(path: path, kek: old), false)
    } catch  where error.code == .wrongKey {
      return (try EmbeddedControlStore(path: path, kek: new), true)
    }
  }

  private static func rewrapAccounts(
    _ configuration: NodeConfiguration, _ disk: any Disk, _ old: any KeyEncryption, _ new: any KeyEncryption
  ) throws -> Int {
    let nodeID = try NodeService.nodeID(disk, configuration.paths.data + "/node")
    let engine = try Engine.open(NodeService.engineConfiguration(configuration, nodeID), disk: disk, kek: old)
    defer { engine.close() }
    try engine.rotate(to: new)
    try rewrapArchives(configuration.paths.archive, disk, old, new)
    return engine.accounts().count
  }

  /// The keyrings' copies in the archive, those of deleted accounts too.
  private static func rewrapArchives(
    _ root: String, _ disk: any Disk, _ old: any KeyEncryption, _ new: any KeyEncryption
  ) throws {
    guard try disk.info(root) != nil else { return }
    for name in try disk.list(root) {
      guard let id = AccountID(name) else { continue }
      let path = ArchiveLayout(root: root, account: id).keyring
      guard try disk.info(path) != nil else { continue }
      // Done already, before an interruption: then it opens with the new one.
      if (try? Keyring.open(disk: disk, path: path, account: id, kek: new)) != nil { continue }
      try Keyring.open(disk: disk, path: path, account: id, kek: old).rewrap(to: new)
    }
  }
}
