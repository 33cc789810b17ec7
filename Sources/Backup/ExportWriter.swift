// Writes one export: everything of an account at one position, in open formats, into one file.
//
// Reading and packing run on the calling thread, which may block for as long as the account is large; compressing, sealing
// and FLAC have threads of their own. The directory gets its name when everything in it is durable; whatever dies before leaves one
// that ends in ".new".

import AtRest
import Base
import Disk
import Formats
import OpenSSL
import SQLite
import ShardStore

struct ExportWriter {
  let disk: any Disk
  let layout: ArchiveLayout
  let source: PinnedSource
  let order: ExportOrder

  func run() throws -> ExportInfo {
    try order.check()
    let held = try order.previous.map { id throws(BackupError) in try previous(id) }
    let final = "\(layout.exports)/\(order.export)"
    let building = final + ArchiveLayout.unfinishedSuffix
    do {
      for level in [parentDirectory(of: layout.directory) ?? ".", layout.directory, layout.exports] {
        try disk.makeDurableDirectory(level)
      }
      if try disk.info(building) != nil { try FileTree.remove(disk, building) }
      try disk.makeDirectory(building)
      let info = try build(building, held)
      try disk.syncDirectory(building)
      try disk.rename(building, to: final)
      try disk.syncDirectory(layout.exports)
      return info
    } catch {
      abandon(building, final)
      throw error
    }
  }

  /// Nothing may lie under the export's own name that is not whole, not even after a crash in the middle of this: what
  /// has that name loses it durably before anything of it is removed. What stays, the next export removes.
  private func abandon(_ building: String, _ final: String) {
    do {
      if try disk.info(final) != nil {
        try disk.rename(final, to: building)
        try disk.syncDirectory(layout.exports)
      }
      try FileTree.remove(disk, building)
    } catch {}
  }

  /// An export may be as large as all that it holds. One that cannot fit is not begun: a full disk hurts every account.
  private func checkSpace(_ recordings: UInt64) throws {
    let wanted = UInt64(databaseBytes) + recordings + Self.spareBytes
    let free = try disk.freeBytes(layout.exports)
    guard free >= wanted else {
      throw BackupError(
        .diskFull,
        "the export may take \(wanted >> 20) MiB and the archive's disk has \(free >> 20) MiB left: remove old exports, "
          + "or export a shorter period")
    }
  }

  /// Left to the node.
  private static let spareBytes: UInt64 = 64 << 20

  private func previous(_ id: ExportID) throws(BackupError) -> (info: ExportInfo, held: HeldRecordings) {
    let store = ExportStore(disk: disk, layout: layout)
    guard let info = try store.info(id) else {
      throw BackupError(.notFound, "the export before is not in this node's archive: make one without it")
    }
    return (info, try store.held(id))
  }

  private func build(_ directory: String, _ previous: (info: ExportInfo, held: HeldRecordings)?) throws -> ExportInfo {
    let output = try ExportOutput(
      disk, "\(directory)/\(ExportInfo.storedName)", recipients: order.recipients,
      owner: source.keyring.agreement.public)
    defer { output.close() }
    let host = source.host
    do {
      let connection = try Connection(pages: PagesVFS(host: host), readOnly: true)
      let chosen = RecordingChoice(connection: connection, order: order, held: previous?.held)
      let recordingBytes = try chosen.totalBytes()
      try checkSpace(recordingBytes)
      let meter = ProgressMeter(total: Double(2 * databaseBytes) + Double(recordingBytes), order.progress)
      let packer = try ExportPacker(
        output, directory: order.accountName, modified: order.createdAt, disk, spools: "\(directory)/spool-")
      try packer.add("README.txt", text: ExportReadme.text(order, position: source.position))
      try packer.add("verify.py", text: ExportReadme.verifier)
      try writeDatabase(packer, meter)
      try writeTables(packer, connection, directory, meter)
      let recordings = try ExportRecordings(
        source: source, chosen: chosen, packer: packer, disk: disk, spools: "\(directory)/spool-",
        asFLAC: order.asFLAC, checkpoint: check)
      try recordings.write { meter.advance($0) }
      let manifest = try packer.finish { sign($0, $1, $2, recordings, previous?.info) }
      let written = try output.finish()
      let header = ExportHeldHeader(account: layout.account, export: order.export, count: try chosen.heldCount())
      try HeldRecordings.write(disk, "\(directory)/\(HeldRecordings.fileName)", header) { try chosen.forEachHeld($0) }
      let info = ExportInfo(order, manifest, written)
      let description = try disk.open("\(directory)/\(ExportInfo.fileName)", .create)
      try description.write(info.encode(), at: 0)
      try description.sync()
      return info
    } catch {
      // Why a page could not be read, instead of SQLite's word for it.
      throw host.failure ?? error
    }
  }

  private var databaseBytes: Int { source.databasePages * Limits.pageBytes }

  @Sendable private func check() throws { if order.isCancelled() { throw CancellationError() } }

  /// As a file that any SQLite opens.
  private func writeDatabase(_ packer: ExportPacker, _ meter: ProgressMeter) throws {
    let batch = 64
    try packer.add("account.sqlite", bytes: UInt64(databaseBytes)) { put in
      for first in stride(from: 1, through: source.databasePages, by: batch) {
        try check()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(batch * Limits.pageBytes)
        for number in first..<min(first + batch, source.databasePages + 1) {
          bytes += try source.view.readPage(PageNumber(number))
        }
        DatabaseChunkCoder.zeroReserved(&bytes)
        try put(bytes)
        meter.advance(bytes.count)
      }
    }
  }

  private func writeTables(
    _ packer: ExportPacker, _ connection: Connection, _ directory: String, _ meter: ProgressMeter
  ) throws {
    let tables = ExportTables(connection: connection)
    let names = try tables.names()
    for (i, name) in names.enumerated() {
      let spool = try ExportSpool(disk, "\(directory)/spool-table-\(i)")
      try tables.write(name, to: spool, check)
      try packer.add(ExportTables.path(of: name), spool)
      meter.advance(databaseBytes / names.count)
    }
  }

  private func sign(
    _ files: UInt64, _ bytes: UInt64, _ root: [UInt8], _ recordings: ExportRecordings, _ previous: ExportInfo?
  ) -> ExportManifest {
    let keys = source.keyring.keys
    var manifest = ExportManifest(
      accountName: order.accountName, account: layout.account, export: order.export, position: "\(source.position)",
      createdAt: RFC3339.text(order.createdAt), from: order.from.map(RFC3339.text),
      to: order.to.map(RFC3339.text), previous: previous?.id, previousRoot: previous?.root,
      recordings: recordings.count, recordingBytes: recordings.bytes, files: files, bytes: bytes, root: root,
      publicKey: keys.signingPublic, signature: [])
    manifest.signature = Ed25519.sign(Array(manifest.signedText.utf8), private: keys.signing)
    return manifest
  }
}
