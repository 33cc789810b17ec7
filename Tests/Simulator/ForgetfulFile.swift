// An open file of a forgetful disk. It keeps its node when the name moves or goes.

internal import Base
internal import Disk
internal import Threads

final class ForgetfulFile: DiskFile {
  let path: String
  private let disk: ForgetfulDisk
  private let node: Int
  private let isWritable: Bool

  init(disk: ForgetfulDisk, node: Int, path: String, isWritable: Bool) {
    self.disk = disk
    self.node = node
    self.path = path
    self.isWritable = isWritable
  }

  deinit {
    disk.state.with { s in
      guard !s.isDead else { return }
      s.files[node]!.handles -= 1
    }
  }

  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
    try bytes.withUnsafeMutableBytes { (buffer) throws(DiskError) -> Int in
      try disk.perform(.read, "read", path) { (s) throws(DiskError) in
        s.files[node]!.current.read(into: buffer, at: Int(offset))
      }
    }
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
    try bytes.withUnsafeBytes { (buffer) throws(DiskError) in try write(buffer, at: Int(offset)) }
  }

  private func write(_ buffer: UnsafeRawBufferPointer, at offset: Int) throws(DiskError) {
    let half = UnsafeRawBufferPointer(rebasing: buffer[..<Self.half(of: buffer.count, at: offset)])
    try disk.perform(
      .write, "write", path, half: { if isWritable { $0.files[node]!.write(half, at: offset) } }
    ) { (s) throws(DiskError) in
      try mayWrite("write")
      let fits = s.fits(node, upTo: offset + buffer.count)
      if fits >= offset + buffer.count { return s.files[node]!.write(buffer, at: offset) }
      s.counts.fullWrites += 1
      let part = UnsafeRawBufferPointer(rebasing: buffer[..<max(0, fits - offset)])
      s.files[node]!.write(part, at: offset)
      throw DiskError(.full, "write", path)
    }
  }

  /// Whole sectors of a write that consists of them: a direct write leaves none half done.
  private static func half(of count: Int, at offset: Int) -> Int {
    let sector = SparseImage.sector
    return offset % sector == 0 && count % sector == 0 ? count / sector / 2 * sector : count / 2
  }

  func sync() throws(DiskError) {
    try disk.perform(.sync, "sync", path, failed: { $0.failSync(node) }) { (s) throws(DiskError) in
      s.files[node]!.sync()
    }
  }

  func size() throws(DiskError) -> UInt64 {
    try disk.alive("look at", path) { (s) throws(DiskError) in UInt64(s.files[node]!.current.length) }
  }

  func truncate(to bytes: UInt64) throws(DiskError) {
    try disk.perform(.truncate, "truncate", path) { (s) throws(DiskError) in
      try mayWrite("truncate")
      s.files[node]!.truncate(to: Int(bytes))
    }
  }

  private func mayWrite(_ operation: String) throws(DiskError) {
    // Linux: "bad file descriptor" for a write, "invalid argument" for a truncation.
    if !isWritable { throw DiskError(.other(operation == "write" ? 9 : 22), operation, path) }
  }
}

extension ForgetfulDisk.State {
  /// How long file `node` can become, when `wanted` is asked for.
  func fits(_ node: Int, upTo wanted: Int) -> Int {
    guard capacityBytes != nil else { return wanted }
    let allocated = (files[node]!.current.length + 4095) & ~4095
    return min(wanted, allocated + max(0, freeBytes) & ~4095)
  }

  mutating func failSync(_ node: Int) { files[node]!.failSync(using: &generator, &counts) }
}
