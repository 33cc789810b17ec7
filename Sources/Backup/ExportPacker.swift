// Files, one after the other, into an export's tar stream, and into the lists that its manifest and SHA256SUMS are made
// of.

import Base
import Disk
import Formats
import OpenSSL

final class ExportPacker {
  private let output: ExportOutput
  private let directory: String
  private let modified: Int64
  private let list: ExportSpool
  private let sums: ExportSpool
  private var tree = MerkleTree()
  private var bytes: UInt64 = 0

  /// `directory` is the one that everything lies in; spools are made as `<spools><name>`.
  init(_ output: ExportOutput, directory: String, modified: UnixMicroseconds, _ disk: any Disk, spools: String) throws {
    self.output = output
    self.directory = directory
    self.modified = modified / 1_000_000
    list = try ExportSpool(disk, spools + "list")
    sums = try ExportSpool(disk, spools + "sums")
  }

  /// A file of exactly `count` bytes, which `body` hands to what it is given; gives its SHA-256.
  @discardableResult
  func add(
    _ path: String, bytes count: UInt64, modified time: UnixMicroseconds? = nil,
    _ body: (([UInt8]) throws -> Void) throws -> Void
  ) throws -> [UInt8] {
    let hash = try put(path, bytes: count, modified: time, body)
    tree.append(ExportManifest.leaf(path, bytes: count, hash: hash))
    try list.write((tree.leaves == 1 ? "" : ",\n") + ExportManifest.line(path, bytes: count, hash: hash))
    try sums.write(ExportManifest.sum(path, hash: hash))
    bytes += count
    return hash
  }

  func add(_ path: String, text: String) throws {
    let bytes = Array(text.utf8)
    try add(path, bytes: UInt64(bytes.count)) { try $0(bytes) }
  }

  func add(_ path: String, _ spool: ExportSpool) throws {
    try spool.finish()
    try add(path, bytes: spool.bytes) { put in try spool.read(put) }
    try spool.remove()
  }

  /// Manifest and sums. `sign` gets what the manifest says, with files, bytes and root, and gives it signed.
  func finish(_ sign: (_ files: UInt64, _ bytes: UInt64, _ root: [UInt8]) -> ExportManifest) throws -> ExportManifest {
    try list.finish()
    let manifest = sign(UInt64(tree.leaves), bytes, tree.root)
    let (head, tail) = (Array(manifest.head.utf8), Array(ExportManifest.tail.utf8))
    let count = UInt64(head.count) + list.bytes + UInt64(tail.count)
    let hash = try put(ExportManifest.fileName, bytes: count, modified: nil) { put in
      try put(head)
      try list.read(put)
      try put(tail)
    }
    try sums.write(ExportManifest.sum(ExportManifest.fileName, hash: hash))
    try sums.finish()
    _ = try put(ExportManifest.sumsName, bytes: sums.bytes, modified: nil) { put in try sums.read(put) }
    try output.write([UInt8](repeating: 0, count: 2 * TarEntry.blockBytes))
    try list.remove()
    try sums.remove()
    return manifest
  }

  private func put(
    _ path: String, bytes count: UInt64, modified time: UnixMicroseconds?,
    _ body: (([UInt8]) throws -> Void) throws -> Void
  ) throws -> [UInt8] {
    let entry = TarEntry(path: "\(directory)/\(path)", bytes: count, modified: time.map { $0 / 1_000_000 } ?? modified)
    guard entry.path.utf8.count <= Limits.exportPathBytesMax else {
      throw BackupError(.refused, "a name in the account is too long for an export")
    }
    try output.write(entry.encode())
    let hasher = Hasher(.sha256)
    var got: UInt64 = 0
    try body { piece in
      got += UInt64(piece.count)
      guard got <= count else { throw BackupError(.damaged, "a file of the export is longer than it should be") }
      hasher.update(piece)
      try output.write(piece)
    }
    guard got == count else { throw BackupError(.damaged, "a file of the export is shorter than it should be") }
    if entry.padding > 0 { try output.write([UInt8](repeating: 0, count: entry.padding)) }
    return hasher.finish()
  }
}
