// A text file that is written line by line, and synced when it is told to be.

import Disk

final class LineFile {
  private let file: any DiskFile
  private var buffer: [UInt8] = []
  private var offset: UInt64 = 0

  init(_ disk: any Disk, _ path: String) throws { file = try disk.open(path, .create) }

  /// Goes on behind the first `bytes` of what is there; nil when there is less.
  init?(_ disk: any Disk, _ path: String, behind bytes: UInt64) throws {
    file = try disk.open(path, .createOrOpen)
    guard try file.size() >= bytes else { return nil }
    try file.truncate(to: bytes)
    offset = bytes
  }

  func append(_ line: String) throws {
    buffer += line.utf8
    buffer.append(UInt8(ascii: "\n"))
    if buffer.count >= 1 << 16 { try flush() }
  }

  /// Makes all of it durable; gives how long it is.
  @discardableResult
  func finish() throws -> UInt64 {
    try flush()
    try file.sync()
    return offset
  }

  private func flush() throws {
    try file.write(buffer, at: offset)
    offset += UInt64(buffer.count)
    buffer = []
  }
}
