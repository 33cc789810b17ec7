// What the files of an export have to be, seen one after the other: only paths that exports have, none twice, then a
// manifest that lists exactly them, in order, with the root over them and a signature that holds, then their sums.

import Base
import Formats
import OpenSSL

final class ExportContents {
  private enum Role { case file, manifest, sums }

  /// Where in the file its caller is, for errors.
  var fileOffset: UInt64 = 0
  private(set) var manifest: ExportManifest?
  private var directory: String?
  private var path = ""
  private var expected: UInt64 = 0
  private var role = Role.file
  private let hasher = Hasher(.sha256)
  private var seen: Set<UInt64> = []
  private var tree = MerkleTree()
  private var bytes: UInt64 = 0
  private var recordings: UInt64 = 0
  private let list = Hasher(.sha256)
  private let sums = Hasher(.sha256)
  private var reader = ExportManifestReader()
  private var isOver = false

  var files: UInt64 { UInt64(tree.leaves) }

  func begin(_ entry: TarEntry) throws {
    let parts = entry.path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, ExportOrder.isSafe(accountName: parts[0]), (directory ?? parts[0]) == parts[0] else {
      throw refusal("it lies outside the export's directory")
    }
    directory = parts[0]
    path = parts[1]
    expected = entry.bytes
    guard Self.isSafe(path) else { throw refusal("its path is none that exports have") }
    guard seen.insert(Self.key(path)).inserted else { throw refusal("it comes twice") }
    role = path == ExportManifest.fileName ? .manifest : path == ExportManifest.sumsName ? .sums : .file
    switch role {
    case .file:
      guard manifest == nil, entry.bytes <= Self.bytesMax(path) else { throw refusal("it has no place there") }
    case .manifest: guard manifest == nil else { throw refusal("it has no place there") }
    case .sums: guard manifest != nil, !isOver else { throw refusal("it has no place there") }
    }
  }

  func data(_ piece: ArraySlice<UInt8>) throws {
    let piece = Array(piece)
    hasher.update(piece)
    if role == .manifest { try reader.push(piece) }
  }

  func end() throws {
    let hash = hasher.finish()
    switch role {
    case .file:
      tree.append(ExportManifest.leaf(path, bytes: expected, hash: hash))
      list.update(Array((ExportManifest.line(path, bytes: expected, hash: hash) + "\n").utf8))
      bytes += expected
      if path.hasPrefix("recordings/") { recordings += 1 }
    case .manifest: manifest = try checked(try reader.finish())
    case .sums:
      guard hash == sums.finish() else {
        throw FormatError(.damaged, "SHA256SUMS does not list the files that are there")
      }
      isOver = true
      return
    }
    sums.update(Array(ExportManifest.sum(path, hash: hash).utf8))
  }

  func finish() throws {
    guard isOver else { throw FormatError(.truncated, "the export has no manifest and sums at its end") }
  }

  private func checked(_ found: (manifest: ExportManifest, list: [UInt8])) throws -> ExportManifest {
    let manifest = found.manifest
    guard found.list == list.finish() else {
      throw FormatError(.damaged, "manifest.json does not list the files that are there")
    }
    guard manifest.accountName == directory, manifest.files == UInt64(tree.leaves), manifest.bytes == bytes,
      manifest.recordings == recordings, manifest.root == tree.root
    else { throw FormatError(.damaged, "manifest.json does not fit the files that are there") }
    guard manifest.isSigned else { throw FormatError(.damaged, "the signature of manifest.json does not hold") }
    return manifest
  }

  /// No path in it: that one comes from outside, with whatever it does to a terminal.
  private func refusal(_ why: String) -> FormatError {
    FormatError(.foreign, "file \(tree.leaves + 1) of the archive is refused: \(why)")
  }

  private static func key(_ path: String) -> UInt64 {
    SHA256.hash(Array(path.utf8)).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
  }

  private static let single: Set<String> = [
    "README.txt", "verify.py", "account.sqlite", "recordings.csv", "recordings.jsonl", ExportManifest.fileName,
    ExportManifest.sumsName,
  ]

  private static func isSafe(_ path: String) -> Bool {
    guard path.utf8.count <= Limits.exportPathBytesMax, path.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != 0x5C })
    else { return false }
    if single.contains(path) { return true }
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count >= 2, parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else { return false }
    return parts[0] == "recordings" || (parts[0] == "tables" && parts.count == 2 && path.hasSuffix(".csv"))
  }

  private static func bytesMax(_ path: String) -> UInt64 {
    if path == "account.sqlite" { return UInt64(Limits.databasePagesMax * Limits.pageBytes) }
    return path.hasPrefix("recordings/") ? UInt64(Limits.recordingBytesMax) : 1 << 50
  }
}
