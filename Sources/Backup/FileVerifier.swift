// Checks one file by itself, without keys: the first four bytes say what it is, its checksums whether it is whole.

import AtRest
import Base
import Disk
import Formats
import OpenSSL

struct FileVerifier {
  let disk: any Disk

  /// What a file's name ends in, and what it must begin with.
  private static let magics: [(suffix: String, magic: String)] = [
    (".kpak", "KPAK"), (".kman", "KMAN"), (".kman.proof", "KPRF"), (".klrg", "KLRG"), ("/keyring", "KKEY"),
    (".klog", "KLOG"),
    (".kseg", "KSEG"), (".kvol", "KVOL"), (".kpgs", "KPGS"), ("/pages.keys", "KPGK"), (".krdo", "KRDO"),
    ("/held.ids", "KEXI"), ("/\(RestoreProgress.fileName)", "KRPG"),
    ("/\(VerifyCursor.fileName)", "KVCR"),
  ]

  func verify(_ path: String, _ report: inout VerifyReport) throws(BackupError) {
    if path.hasSuffix(ArchiveLayout.unfinishedSuffix) || ExportCheck.isUnfinished(path) {
      return report.mendable(path, at: 0, "unfinished: its writer died; it belongs to nobody")
    }
    let file = try onDisk { () throws(DiskError) in try disk.open(path, .read) }
    let size = Int(clamping: try onDisk { () throws(DiskError) in try file.size() })
    let head = try onDisk { () throws(DiskError) in try file.read(4, at: 0) }
    if try verifyExport(file, size, head, &report) { return }
    let magic = String(decoding: head, as: UTF8.self)
    let expected = Self.magics.first { path.hasSuffix($0.suffix) }?.magic
    guard Self.isKnown(magic) || expected != nil else {
      return report.notes.append("\(path): not a file of Komora, not checked")
    }
    report.files += 1
    report.bytes += UInt64(size)
    report.kinds[expected ?? magic, default: 0] += 1
    if let expected, magic != expected {
      return report.damage(path, at: 0, bytes: 4, "the file does not begin with \(expected), as its name says")
    }
    do throws(BackupError) { try check(magic, file, size, &report) } catch { report.note(error, in: path) }
  }

  /// False when the file has nothing to do with exports.
  private func verifyExport(_ file: any DiskFile, _ size: Int, _ head: [UInt8], _ report: inout VerifyReport)
    throws(BackupError) -> Bool
  {
    let (path, bytes) = (file.path, UInt64(size))
    if path.hasSuffix("/" + ExportInfo.fileName) {
      guard let damage = try ExportCheck.description(path, disk) else { return false }
      report.files += 1
      report.bytes += bytes
      report.kinds["export.json", default: 0] += 1
      if let message = damage.message { report.damage(damage.path, at: 0, bytes: size, message) }
      return true
    }
    var isExport = ExportCheck.isNamed(path)
    if !isExport, head == ExportCheck.magic { isExport = try ExportCheck.isExport(file, size: bytes) }
    guard isExport else { return false }
    report.files += 1
    report.bytes += bytes
    report.kinds["export", default: 0] += 1
    do throws(BackupError) { try ExportCheck(file: file, size: bytes).run(&report) } catch {
      report.note(error, in: path)
    }
    return true
  }

  private static func isKnown(_ magic: String) -> Bool {
    magics.contains { $0.magic == magic } || ["KKEK", "KPAS", "age-"].contains(magic)
  }

  private func check(_ magic: String, _ file: any DiskFile, _ size: Int, _ report: inout VerifyReport)
    throws(BackupError)
  {
    let path = file.path
    switch magic {
    case "KPAK": try PackCheck(file: file).run(&report)
    case "KMAN": try checkManifest(path, &report)
    case "KLRG": try checkLogRun(path, size, &report)
    case "KPRF": try checkProof(path, &report)
    case "KKEY": try checkKeyring(path, size, &report)
    case "KLOG": try StoreFileCheck(file: file, size: size).commitLog(&report)
    case "KSEG": try StoreFileCheck(file: file, size: size).segment(&report)
    case "KVOL": try StoreFileCheck(file: file, size: size).volume(&report)
    case "KRDO": try StoreFileCheck(file: file, size: size).redoSlots(&report)
    case "KPGS":
      try whole(path, limit: Limits.pageBytes, size: Limits.pageBytes) { (bytes) throws(FormatError) in
        _ = try PageFileHeader(bytes)
      }
      report.notes.append("\(path): pages are sealed; verify the node's data directory with its key to check them")
    case "KPGK": try whole(path, limit: 8 << 20) { (bytes) throws(FormatError) in _ = try PageKeysFile(bytes) }
    case "KRPG":
      try whole(path, limit: RestoreProgress.bytesMax) { (bytes) throws(FormatError) in
        _ = try RestoreProgress(bytes)
      }
    case "KVCR":
      try whole(path, limit: VerifyCursor.byteCount) { (bytes) throws(FormatError) in
        _ = try VerifyCursor(bytes)
      }
    case "KEXI": _ = try HeldRecordings(disk, path)
    case "KKEK": try whole(path, limit: 4096) { (bytes) throws(FormatError) in _ = try KeyringKeyFile(bytes) }
    case "KPAS": try whole(path, limit: 4096) { (bytes) throws(FormatError) in _ = try KeyringPassphrase(bytes) }
    default:
      report.notes.append("\(path): an age file; only whoever can open it can check it")
    }
  }

  /// Reads a small file, or its first `size` bytes, and parses it.
  private func whole(
    _ path: String, limit: Int, size: Int? = nil, _ parse: ([UInt8]) throws(FormatError) -> Void
  ) throws(BackupError) {
    let bytes = try onDisk { () throws(DiskError) in
      guard let size else { return try disk.readAll(path, limit: limit) }
      return try disk.open(path, .read).read(size, at: 0)
    }
    do throws(FormatError) { try parse(bytes) } catch {
      throw BackupError(.damaged, error.message, path: path, offset: error.offset)
    }
  }

  /// Checksums, and the signature by the key that the file names.
  private func checkManifest(_ path: String, _ report: inout VerifyReport) throws(BackupError) {
    let file = try ManifestStore.file(disk, path)
    report.units += 1
    guard Ed25519.verify(file.signature, of: file.signedBytes, public: file.header.publicKey) else {
      throw BackupError(.damaged, "the manifest's signature does not hold", path: path, offset: 0)
    }
    guard path.hasSuffix("-\(file.header.snapshot)\(ArchiveLayout.manifestSuffix)") else {
      throw BackupError(.damaged, "the manifest is of snapshot \(file.header.snapshot)", path: path, offset: 24)
    }
  }

  /// Header, every record, and the chain between them.
  private func checkLogRun(_ path: String, _ size: Int, _ report: inout VerifyReport) throws(BackupError) {
    let head = try onDisk { () throws(DiskError) in try disk.open(path, .read).read(LogRunHeader.byteCount, at: 0) }
    let header = try decoding(path) { () throws(BytesError) in try LogRunHeader(decoding: head[...]) }
    let run = try LogRun.open(path, disk: disk, account: header.account)
    report.units += try run.read(disk).records.count
  }

  private func checkProof(_ path: String, _ report: inout VerifyReport) throws(BackupError) {
    let bytes = try onDisk { () throws(DiskError) in try disk.readAll(path, limit: SnapshotProof.byteCountMax + 1) }
    let (proof, signature) = try decoding(path) { () throws(BytesError) in try SnapshotProof.decode(bytes) }
    report.units += 1
    let manifestPath = String(path.dropLast(ArchiveLayout.proofSuffix.count))
    let manifest = try ManifestStore.file(disk, manifestPath)
    guard proof.snapshot == manifest.header.snapshot, proof.manifestSignature == manifest.signature,
      Ed25519.verify(signature, of: proof.signedBytes, public: manifest.header.publicKey)
    else { throw BackupError(.damaged, "the proof is not of the manifest beside it", path: path, offset: 0) }
  }

  private func checkKeyring(_ path: String, _ size: Int, _ report: inout VerifyReport) throws(BackupError) {
    do throws(AtRestError) {
      let check = try KeyringCheck(disk: disk, path: path)
      report.units += check.entries
      if check.tornBytes > 0 {
        report.mendable(path, at: size - check.tornBytes, bytes: check.tornBytes, "bytes behind the last whole key")
      }
      if let broken = check.repairable { report.mendable(path, at: broken.offset ?? 0, broken.message) }
    } catch { throw BackupError(error, path: path) }
  }
}
