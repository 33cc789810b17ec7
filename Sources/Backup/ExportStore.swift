// The exports that lie beside an account's archive: `exports/<id>/`, each with its file, its description and the list
// of what it holds. A directory that ends in ".new" is not finished and belongs to nobody, or to a writer at work.

package import Base
package import Disk
import Formats
package import OpenSSL

package struct ExportStore: Sendable {
  private let disk: any Disk
  package let layout: ArchiveLayout

  package init(disk: any Disk, layout: ArchiveLayout) {
    self.disk = disk
    self.layout = layout
  }

  func directory(_ id: ExportID) -> String { "\(layout.exports)/\(id)" }

  /// By time, the oldest first. Descriptions that cannot be read are left out: `komora verify` names them.
  package func list() throws(BackupError) -> [ExportInfo] {
    var found: [ExportInfo] = []
    for name in try names() {
      guard let id = ExportID(name), let info = try info(id) else { continue }
      found.append(info)
    }
    return found.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }
  }

  /// Nil when there is none.
  package func info(_ id: ExportID) throws(BackupError) -> ExportInfo? {
    let path = "\(directory(id))/\(ExportInfo.fileName)"
    let bytes: [UInt8]
    do throws(DiskError) { bytes = try disk.readAll(path, limit: ExportInfo.bytesMax) } catch {
      if error.code == .notFound { return nil }
      throw BackupError(error)
    }
    guard let info = ExportInfo(decoding: bytes), info.id == id, info.account == layout.account,
      try onDisk({ () throws(DiskError) in try disk.info(self.path(of: info)) })?.bytes == info.storedBytes
    else { return nil }
    return info
  }

  /// Where the file of an export lies, sealed.
  package func path(of info: ExportInfo) -> String { "\(directory(info.id))/\(ExportInfo.storedName)" }

  /// An export, to be read; `owner` is the account's private key for agreements.
  package func open(_ info: ExportInfo, owner: SecretBytes) throws(BackupError) -> ExportFile {
    let path = path(of: info)
    let file = try onDisk { () throws(DiskError) in try disk.open(path, .read) }
    return try ExportFile(file, info, owner)
  }

  func held(_ id: ExportID) throws(BackupError) -> HeldRecordings {
    let list = try HeldRecordings(disk, "\(directory(id))/\(HeldRecordings.fileName)")
    guard list.header.account == layout.account, list.header.export == id else {
      throw BackupError(.damaged, "the list of an export is that of another one: make one without the one before")
    }
    return list
  }

  /// False when there was none. What dies in the middle leaves an unfinished one.
  package func remove(_ id: ExportID) throws(BackupError) -> Bool {
    guard try info(id) != nil else { return false }
    let doomed = directory(id) + ArchiveLayout.unfinishedSuffix
    do throws(DiskError) {
      if try disk.info(doomed) != nil { try FileTree.remove(disk, doomed) }
      try disk.rename(directory(id), to: doomed)
      try disk.syncDirectory(layout.exports)
      try FileTree.remove(disk, doomed)
      try disk.syncDirectory(layout.exports)
    } catch {
      // Somebody else clears what is unfinished at the same time.
      if error.code == .notFound, try onDisk({ () throws(DiskError) in try disk.info(directory(id)) }) == nil {
        return true
      }
      throw BackupError(error)
    }
    return true
  }

  /// Removes what dead writers left. `isRunning` is asked when a name has been seen, so that a writer which begins
  /// meanwhile is known.
  package func removeUnfinished(except isRunning: (ExportID) -> Bool) throws(BackupError) {
    for name in try names() where name.hasSuffix(ArchiveLayout.unfinishedSuffix) {
      let id = ExportID(String(name.dropLast(ArchiveLayout.unfinishedSuffix.count)))
      if let id, isRunning(id) { continue }
      do throws(DiskError) { try FileTree.remove(disk, "\(layout.exports)/\(name)") } catch {
        guard error.code == .notFound else { throw BackupError(error) }
      }
    }
  }

  private func names() throws(BackupError) -> [String] {
    do throws(DiskError) { return try disk.list(layout.exports) } catch {
      guard error.code == .notFound else { throw BackupError(error) }
      return []
    }
  }
}
