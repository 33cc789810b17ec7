// A text file that is written line by line and synced at the end.

import Disk

final class LineFile {
  private let file: any DiskFile
  private var buffer: [UInt8] = []
  private var offset: UInt64 = 0

  init(_ disk: any Disk, _ path: String) throws { file = try disk.open(path, .create) }

  func append(_ line: String) throws {
    buffer += line.utf8
    buffer.append(UInt8(ascii: "\n"))
    if buffer.count >= 1 << 16 { try flush() }
  }

  func finish() throws {
    try flush()
    try file.sync()
  }

  private func flush() throws {
    try file.write(buffer, at: offset)
    offset += UInt64(buffer.count)
    buffer = []
  }
}
