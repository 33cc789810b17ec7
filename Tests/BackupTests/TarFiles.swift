// The files of an export in memory, for tests.

import AtRest
import Disk
import Formats
import Testing

struct TarFiles {
  /// In the archive's order, without the account's directory.
  private(set) var paths: [String] = []
  private var contents: [String: [UInt8]] = [:]

  subscript(_ path: String) -> [UInt8]? { contents[path] }

  init(reading path: String, _ disk: any Disk) throws {
    let file = try disk.readAll(path, limit: 1 << 28)
    var tar: [UInt8] = []
    let used = try ZstdStreamDecompressor(windowLogMax: 21).read(file) { tar += $0 }
    #expect(used == file.count - ExportTrailer.byteCount)
    try self.init(tar)
  }

  init(_ tar: [UInt8]) throws {
    var at = 0
    while true {
      var size = TarEntry.blockBytes
      switch try TarEntry.kind(of: tar[at..<(at + size)]) {
      case .end:
        #expect(tar.count == at + 2 * TarEntry.blockBytes)
        return
      case .extended(let bytes): size = ((bytes + 511) / 512 + 2) * 512
      case .file: break
      }
      let entry = try TarEntry(decoding: Array(tar[at..<(at + size)]))
      let start = at + size
      let name = String(entry.path.drop { $0 != "/" }.dropFirst())
      #expect(contents[name] == nil, "twice: \(name)")
      paths.append(name)
      contents[name] = Array(tar[start..<(start + Int(entry.bytes))])
      at = start + Int(entry.bytes) + entry.padding
    }
  }
}
