// Exports as they lie beside an archive: what is unfinished there, and whether a file is the one that its description
// tells of, encrypted ones included.

import Base
import Disk
import OpenSSL

extension ExportCheck {
  /// Whether a file has the name of an export that is not encrypted.
  static func isNamed(_ path: String) -> Bool {
    guard path.hasSuffix(".tar.zst"), let dash = path.lastIndex(of: "-") else { return false }
    return ExportID(String(path[path.index(after: dash)...].dropLast(".tar.zst".count))) != nil
  }

  /// Whether `path` lies in the directory of an export whose writer died.
  static func isUnfinished(_ path: String) -> Bool {
    let parts = path.split(separator: "/")
    guard parts.count >= 3, parts[parts.count - 3] == "exports" else { return false }
    let name = parts[parts.count - 2]
    return name.hasSuffix(ArchiveLayout.unfinishedSuffix)
      && ExportID(String(name.dropLast(ArchiveLayout.unfinishedSuffix.count))) != nil
  }

  /// Nil when `path` describes no export; a message when it does and something is wrong with it or with its file.
  static func description(_ path: String, _ disk: any Disk) throws(BackupError) -> (path: String, message: String?)? {
    let directory = parentDirectory(of: path) ?? "."
    let isBesideArchive = directory.split(separator: "/").dropLast().last == "exports"
    let bytes = try onDisk { () throws(DiskError) in
      let file = try disk.open(path, .read)
      return try file.read(ExportInfo.bytesMax + 1, at: 0)
    }
    guard let info = ExportInfo(decoding: bytes) else {
      return isBesideArchive ? (path, "the description of an export cannot be read") : nil
    }
    let target = "\(directory)/\(ExportInfo.storedName)"
    guard try onDisk({ () throws(DiskError) in try disk.info(target) }) != nil else {
      return (path, "the export that it describes is not there")
    }
    return (target, try hash(target, disk) == info.storedHash ? nil : "not the export that its description tells of")
  }

  private static func hash(_ path: String, _ disk: any Disk) throws(BackupError) -> [UInt8] {
    let file = try onDisk { () throws(DiskError) in try disk.open(path, .read) }
    let hasher = Hasher(.sha256)
    var offset: UInt64 = 0
    while true {
      let at = offset
      let piece = try onDisk { () throws(DiskError) in try file.read(1 << 20, at: at) }
      guard !piece.isEmpty else { return hasher.finish() }
      hasher.update(piece)
      offset += UInt64(piece.count)
    }
  }
}
