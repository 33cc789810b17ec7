// Reads manifest.json as it comes: its head, then a line a file, of which only a hash is kept.

import Formats
import OpenSSL

struct ExportManifestReader {
  private static let lineBytesMax = 64 << 10
  private enum State { case brace, head, files, brackets, ended }

  private var state = State.brace
  private var line: [UInt8] = []
  private var head: [String] = []
  private var manifest: ExportManifest?
  private let list = Hasher(.sha256)
  private var awaitsMore = true

  mutating func push(_ bytes: [UInt8]) throws {
    for byte in bytes {
      if byte != 0x0A {
        guard line.count < Self.lineBytesMax else { throw Self.damaged }
        line.append(byte)
        continue
      }
      try take()
      line.removeAll(keepingCapacity: true)
    }
  }

  /// What it says, and the hash over the lines of its files without their commas.
  mutating func finish() throws -> (manifest: ExportManifest, list: [UInt8]) {
    guard state == .ended, line.isEmpty, let manifest else { throw Self.damaged }
    return (manifest, list.finish())
  }

  private static let damaged = FormatError(.damaged, "manifest.json is not in the form that exports have")

  private mutating func take() throws {
    switch state {
    case .brace:
      guard line == Array("{".utf8) else { throw Self.damaged }
      state = .head
    case .head:
      let text = String(decoding: line, as: UTF8.self)
      guard text != ExportManifest.contentsLine else {
        manifest = ExportManifest(lines: head)
        guard manifest != nil else { throw Self.damaged }
        return state = .files
      }
      guard head.count < ExportManifest.headLines else { throw Self.damaged }
      head.append(text)
    case .files:
      if line == Array("  ]".utf8) {
        guard !awaitsMore else { throw Self.damaged }
        return state = .brackets
      }
      guard awaitsMore else { throw Self.damaged }
      awaitsMore = line.last == UInt8(ascii: ",")
      list.update((awaitsMore ? Array(line.dropLast()) : line) + [0x0A])
    case .brackets:
      guard line == Array("}".utf8) else { throw Self.damaged }
      state = .ended
    case .ended: throw Self.damaged
    }
  }
}
