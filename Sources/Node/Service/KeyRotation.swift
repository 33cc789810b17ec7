// A new key-encryption key for a node that is stopped.
//
// The next key lies beside the current one from the first step on. Then every account's keyring is wrapped by it, the
// copies in the archive follow, then the control store where this node still has one of its own, then the cluster file,
// and last the next key takes the current one's name, which removes the old key. An interruption anywhere leaves both
// keys; the same command does every step again, with either key. A node does not start in between. No data is rewritten.

import AtRest
import Backup
import Base
import ControlStores
import Disk
import OpenSSL
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
    let paths = configuration.paths
    let clusterPath = ClusterMaterial.path(paths)
    guard try disk.info(NodeService.controlPath(configuration)) != nil || disk.info(clusterPath) != nil else {
      throw NodeError(.notFound, "\(paths.data) holds no node: name the configuration of one that has run")
    }
    let old = try FileKeyEncryption(path: path)
    let new = try FileKeyEncryption(path: next, creating: try disk.info(next) == nil)
    let either = EitherKey(old: old, new: new)
    let accounts = try rewrapAccounts(configuration, disk, either)
    try rewrapControlStore(configuration, disk, either)
    try ClusterMaterial.load(disk, clusterPath, either)?.store(disk, clusterPath, new)
    try disk.rename(next, to: path)
    try disk.syncDirectory(paths.keys)
    return Report(accounts: accounts, keyID: new.id)
  }

  /// Opens what either key has wrapped, and wraps by the new one. Not for keyrings, which say by which key.
  private struct EitherKey: KeyEncryption {
    let old: FileKeyEncryption
    let new: FileKeyEncryption

    var id: String { new.id }

    func wrap(_ key: SecretBytes, for account: AccountID) throws(AtRestError) -> [UInt8] {
      try new.wrap(key, for: account)
    }

    func unwrap(_ wrapped: [UInt8], for account: AccountID) throws(AtRestError) -> SecretBytes {
      do throws(AtRestError) {
        return try new.unwrap(wrapped, for: account)
      } catch {
        guard error.code == .wrongKey else { throw error }
        return try old.unwrap(wrapped, for: account)
      }
    }
  }

  /// The store of a node that stands alone, or whose move into a cluster has not ended. One that was moved is a copy
  /// that nothing opens.
  private static func rewrapControlStore(
    _ configuration: NodeConfiguration, _ disk: any Disk, _ key: EitherKey
  ) throws {
    let path = NodeService.controlPath(configuration)
    guard try disk.info(path) != nil else { return }
    let store: EmbeddedControlStore
    do throws(ControlStoreError) {
      store = try EmbeddedControlStore.resumingMove(path: path, kek: key)
    } catch {
      guard error.code == .refused else { throw error }
      return
    }
    defer { store.close() }
    try store.rewrap(to: key.new)
  }

  private static func rewrapAccounts(
    _ configuration: NodeConfiguration, _ disk: any Disk, _ key: EitherKey
  ) throws -> Int {
    let nodeID = try NodeService.nodeID(disk, configuration.paths.data + "/node")
    let isReplicated = try disk.info(ClusterMaterial.path(configuration.paths)) != nil
    let engine = try Engine.open(
      NodeService.engineConfiguration(configuration, nodeID, isReplicated: isReplicated), disk: disk, kek: key.old)
    defer { engine.close() }
    try engine.rotate(to: key.new)
    try rewrapArchives(configuration.paths.archive, disk, key)
    return engine.accounts().count
  }

  /// The keyrings' copies in the archive, those of deleted accounts too.
  private static func rewrapArchives(_ root: String, _ disk: any Disk, _ key: EitherKey) throws {
    guard try disk.info(root) != nil else { return }
    for name in try disk.list(root) {
      guard let id = AccountID(name) else { continue }
      let path = ArchiveLayout(root: root, account: id).keyring
      guard try disk.info(path) != nil else { continue }
      // Done already, before an interruption: then it opens with the new one.
      if (try? Keyring.open(disk: disk, path: path, account: id, kek: key.new)) != nil { continue }
      try Keyring.open(disk: disk, path: path, account: id, kek: key.old).rewrap(to: key.new)
    }
  }
}
