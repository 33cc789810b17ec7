// `komora verify`: reads any file that Komora wrote, or everything below a directory, and names each byte range that is
// not what was written. It changes nothing.
//
// The first four bytes say what a file is. Without keys every checksum is compared; with the node's key-encryption key,
// or an account's key from its recovery file, seals and signatures are checked as well, the chunks of a snapshot
// against its manifest. A node's data directory goes to the store's own verifier, which also follows each log.

package import AtRest
package import Base
package import Disk
import Formats
package import OpenSSL
import ShardStore

package enum VerifyKeys: Sendable {
  case none
  case keyEncryption(any KeyEncryption)
  /// From a recovery file.
  case account(AccountID, SecretBytes)

  func unlock(_ account: AccountID) -> KeyringUnlock? {
    switch self {
    case .none: nil
    case .keyEncryption(let kek): .keyEncryption(kek)
    case .account(let id, let key): id == account ? .accountKey(key) : nil
    }
  }

  var kek: (any KeyEncryption)? { if case .keyEncryption(let kek) = self { kek } else { nil } }
}

package enum Verify {
  /// Verifies what lies at `path`; `decodes` says that no chunk is spared because of a proof. `.notFound` when there is nothing, and when nothing there is of Komora. Blocks.
  package static func run(
    _ path: String, disk: any Disk, keys: VerifyKeys = .none, decodes: Bool = false,
    progress: (Double) -> Void = { _ in }
  ) throws(BackupError) -> VerifyReport {
    var report = VerifyReport(path: path)
    let root = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    guard let info = try onDisk({ () throws(DiskError) in try disk.info(root) }) else {
      throw BackupError(.notFound, "there is nothing to verify here", path: path)
    }
    if info.isDirectory, let data = try DataDirectory.find(root, disk) {
      verifyData(data, disk, keys, &report)
    }
    let files = try onDisk { () throws(DiskError) in try FileTree.files(disk, root) }
    for (i, file) in files.enumerated() {
      if !report.isCovered(file) { try FileVerifier(disk: disk).verify(file, &report) }
      progress(Double(i + 1) / Double(files.count + 1))
    }
    for archive in ArchiveVerifier.archives(among: files) {
      try ArchiveVerifier(disk: disk, layout: archive, decodes: decodes).verify(keys, &report)
    }
    guard report.files > 0 else {
      throw BackupError(.notFound, "there is no file of Komora here", path: path)
    }
    progress(1)
    return report
  }

  /// A part of the archives at `path`: their snapshots' chunks as far as `order` says. `.notFound` when there is none.
  package static func part(
    _ path: String, disk: any Disk, keys: VerifyKeys, _ order: VerifyOrder, now: UnixMicroseconds,
    progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) throws(BackupError) -> VerifyReport {
    let root = path.count > 1 && path.hasSuffix("/") ? String(path.dropLast()) : path
    let files = try onDisk { () throws(DiskError) in try FileTree.files(disk, root) }
    let archives = ArchiveVerifier.archives(among: files)
    guard !archives.isEmpty else { throw BackupError(.notFound, "there is no archive of Komora here", path: path) }
    guard archives.count == 1 || order.cursor == nil else {
      throw BackupError(.refused, "a cursor is one account's: name the directory of one account's archive", path: path)
    }
    var report = VerifyReport(path: path)
    for layout in archives {
      guard let unlock = keys.unlock(layout.account) else {
        report.notes.append("\(layout.directory): the key that was given does not open this account's archive")
        continue
      }
      let one = try VerifyArchive(disk: disk, layout: layout, order).run(
        unlockedBy: unlock, now: now, progress: progress)
      report.add(one)
    }
    return report
  }

  /// The whole data directory, or the one account of it that was named.
  private static func verifyData(
    _ data: DataDirectory, _ disk: any Disk, _ keys: VerifyKeys, _ report: inout VerifyReport
  ) {
    let configuration = EngineConfiguration(directory: data.root, node: NodeID(bits: 0))
    var verifier = StoreVerifier(disk: disk, configuration: configuration, kek: keys.kek)
    if let account = data.account {
      verifier.verifyAccount(account)
      report.covered.append("\(configuration.accountsDirectory)/\(account)/")
    } else {
      verifier.verifyEverything()
      report.covered += ["\(configuration.accountsDirectory)/", "\(configuration.logDirectory)/"]
      report.covered.append("\(configuration.temporaryDirectory)/")
    }
    report.findings += verifier.findings
    report.files += verifier.counts.files
    report.bytes += verifier.counts.bytes
    if keys.kek == nil {
      report.notes.append("\(data.root): seals were not checked, for that the key-encryption key is needed")
    }
  }
}

/// A node's data directory, or one account's directory in it, recognised by what lies there.
struct DataDirectory {
  var root: String
  var account: AccountID?

  static func find(_ path: String, _ disk: any Disk) throws(BackupError) -> DataDirectory? {
    func isDirectory(_ path: String) throws(BackupError) -> Bool {
      try onDisk { () throws(DiskError) in try disk.info(path)?.isDirectory ?? false }
    }
    if try isDirectory("\(path)/accounts"), try isDirectory("\(path)/log") { return DataDirectory(root: path) }
    guard let parent = parentDirectory(of: path), parent.hasSuffix("/accounts"),
      let account = AccountID(String(path.dropFirst(parent.count + 1))),
      let root = parentDirectory(of: parent), try isDirectory("\(root)/log")
    else { return nil }
    return DataDirectory(root: root, account: account)
  }
}
