// A long file from a node, range by range, into files that get their names when all of it is there and its hash is
// right. Each range is asked of whichever node answers; what an earlier run has fetched is hashed and kept.

import Base
import Disk
import Foundation
import NIOHTTP1
import OpenSSL

struct ExportDownload {
  private static let rangeBytes: Int64 = 8 << 20
  private static let attempts = 6

  let client: APIClient
  let path: String
  let bytes: Int64
  /// SHA-256 of the whole, in hexadecimal digits.
  let hash: String
  let partBytes: Int64?
  /// From the root, without `.` and `..`.
  let out: String
  private let disk = RealDisk()

  init(client: APIClient, path: String, bytes: Int64, hash: String, partBytes: Int64?, out: String) {
    self.client = client
    self.path = path
    self.bytes = bytes
    self.hash = hash
    self.partBytes = partBytes
    self.out = out
  }

  private struct Part {
    var path: String
    var bytes: Int64
    var unfinished: String { path + ".part" }
  }

  private var parts: [Part] {
    guard let size = partBytes, size > 0 else { return [Part(path: out, bytes: bytes)] }
    return stride(from: 0, to: bytes, by: Int64.Stride(size)).enumerated().map { number, start in
      let digits = "\(number + 1)"
      return Part(
        path: "\(out).\(String(repeating: "0", count: max(0, 3 - digits.count)))\(digits)",
        bytes: min(size, bytes - start))
    }
  }

  func run(_ progress: (Double, String) -> Void) async throws -> JSONValue {
    var kept = try await fetch(progress)
    if kept == nil {
      // What an earlier run left was something else.
      for part in parts { try failing(part.path) { try? disk.remove(part.unfinished) } }
      kept = try await fetch(progress)
    }
    guard let kept else {
      // A finished file of the right length is taken for an earlier run's until its hash says otherwise.
      if let there = try parts.first(where: { part in try failing(part.path) { try disk.info(part.path) != nil } }) {
        throw CommandFailure(.refused, "\(there.path) is another file: name another one with --out, or remove it")
      }
      throw CommandFailure(.failed, "what the node sends is not the export: verify its archive with `komora verify`")
    }
    for part in parts {
      try failing(part.path) {
        if try disk.info(part.unfinished) != nil { try disk.rename(part.unfinished, to: part.path) }
      }
    }
    try failing(out) { try disk.syncDirectory(parentDirectory(of: out) ?? ".") }
    return .object([
      "out": .text(out), "bytes": .integer(bytes), "sha256": .text(hash), "resumed_at": .integer(kept),
      "parts": .list(parts.map { .text($0.path) }),
    ])
  }

  /// How much was there already; nil when the hash is not right.
  private func fetch(_ progress: (Double, String) -> Void) async throws -> Int64? {
    let hasher = Hasher(.sha256)
    var start: Int64 = 0
    var kept: Int64 = 0
    for part in parts {
      let file = try open(part)
      var at = try keep(file, part, hasher) { progress(Double(start + $0) / Double(bytes), "checking what is there") }
      kept += at
      while at < part.bytes {
        let piece = try await range(start + at, min(Self.rangeBytes, part.bytes - at))
        let offset = UInt64(at)
        try failing(part.path) { try file.write(piece, at: offset) }
        hasher.update(piece)
        at += Int64(piece.count)
        progress(Double(start + at) / Double(bytes), "fetching")
      }
      try failing(part.path) { try file.sync() }
      start += part.bytes
    }
    return hasher.finish().hex == hash ? kept : nil
  }

  private func open(_ part: Part) throws -> any DiskFile {
    try failing(part.path) {
      if let there = try disk.info(part.path) {
        guard !there.isDirectory, there.bytes == UInt64(part.bytes) else {
          throw CommandFailure(.refused, "there is something else at \(part.path): name another file with --out")
        }
        return try disk.open(part.path, .read)
      }
      return try disk.open(part.unfinished, .createOrOpen)
    }
  }

  /// Hashes what an earlier run wrote; gives how much of it counts.
  private func keep(
    _ file: any DiskFile, _ part: Part, _ hasher: Hasher, _ progress: (Int64) -> Void
  ) throws -> Int64 {
    try failing(part.path) {
      let size = Int64(clamping: try file.size())
      guard size <= part.bytes else {
        try file.truncate(to: 0)
        return 0
      }
      var at: Int64 = 0
      while at < size {
        let piece = try file.read(1 << 20, at: UInt64(at))
        hasher.update(piece)
        at += Int64(piece.count)
        progress(at)
      }
      return at
    }
  }

  private func range(_ start: Int64, _ count: Int64) async throws -> [UInt8] {
    var last = CommandFailure(.unavailable, "no node answers: try again")
    for attempt in 0..<Self.attempts {
      if attempt > 0 { try await Task.sleep(for: .milliseconds(200 << attempt)) }
      do throws(CommandFailure) {
        let answer = try await client.raw(.GET, path, nil, ["range": "bytes=\(start)-\(start + count - 1)"])
        guard answer.status == 206 || Int64(answer.body.count) == bytes, Int64(answer.body.count) == count else {
          throw CommandFailure(.failed, "the node answers with other bytes than were asked for: try another one")
        }
        return answer.body
      } catch {
        guard error.kind == .unavailable else { throw error }
        last = error
      }
    }
    throw last
  }

  private func failing<T>(_ path: String, _ body: () throws -> T) throws -> T {
    do { return try body() } catch let error as DiskError {
      throw CommandFailure(.failed, "cannot write \(path): \(error); what is there is kept, so run the command again")
    }
  }
}
