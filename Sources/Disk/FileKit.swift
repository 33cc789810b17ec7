// Whole-file operations that every owner of files needs, in their durable form, on any disk.

extension Disk {
  /// Puts `bytes` at `path` in one step: after a crash the old content is there or the new, never a mixture. One writer
  /// a path at a time. On return it is durable.
  public func replaceFile(_ path: String, _ bytes: [UInt8]) throws(DiskError) {
    let temporary = path + ".new"
    do throws(DiskError) {
      let file = try open(temporary, .createOrOpen)
      try file.truncate(to: 0)
      try file.write(bytes, at: 0)
      try file.sync()
      try rename(temporary, to: path)
    } catch {
      try? remove(temporary)
      throw error
    }
    try syncDirectory(parentDirectory(of: path) ?? ".")
  }

  /// The whole file; refused with `.other(27)` (EFBIG) when it is longer than `limit`.
  public func readAll(_ path: String, limit: Int) throws(DiskError) -> [UInt8] {
    let file = try open(path, .read)
    let size = try file.size()
    guard size <= UInt64(limit) else { throw DiskError(.other(27), "read whole", path) }
    return try file.read(Int(size), at: 0)
  }

  /// Makes `file` `bytes` long with zeros that are written and durable, so that overwriting them later allocates
  /// nothing and changes no metadata.
  public func zeroFill(_ file: any DiskFile, _ bytes: UInt64) throws(DiskError) {
    let zeros = DiskBuffer(capacity: 1 << 20)
    zeros.append(zeros: 1 << 20)
    var offset: UInt64 = 0
    while offset + UInt64(zeros.count) <= bytes {
      try file.write(zeros, at: offset)
      offset += UInt64(zeros.count)
    }
    if offset < bytes {
      zeros.clear()
      zeros.append(zeros: Int(bytes - offset))
      try file.write(zeros, at: offset)
    }
    try file.sync()
  }

  /// Makes `path` and what is missing above it, and makes their names durable.
  public func makeDurableDirectory(_ path: String) throws(DiskError) {
    guard let parent = parentDirectory(of: path), parent != path else { return }
    if try info(path) == nil {
      if try info(parent) == nil { try makeDurableDirectory(parent) }
      try makeDirectory(path)
    }
    // Synced even if it was there: whoever made it may have died before its sync.
    try syncDirectory(parent)
  }
}

/// The directory in which `path` lies; nil for a bare name and for "/".
public func parentDirectory(of path: String) -> String? {
  var text = path[...]
  while text.count > 1, text.hasSuffix("/") { text.removeLast() }
  guard text != "/", let slash = text.lastIndex(of: "/") else { return nil }
  return slash == text.startIndex ? "/" : String(text[..<slash])
}
