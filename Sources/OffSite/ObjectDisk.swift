// An archive in an object store, as a disk that is only read: restore and verify work on it as on files.
//
// What there is was listed once, when it was opened. Bytes come in aligned blocks, of which some are kept: packs are read
// frame by frame, often one behind the other. A call blocks its thread until the network has answered, so it belongs on
// a thread of ours.

import Base
package import Disk
import Threads

package final class ObjectDisk: Disk {
  private struct Block: Hashable {
    var key: String
    var number: UInt64
  }

  private struct Cache {
    var blocks: [Block: [UInt8]] = [:]
    /// The oldest use first.
    var order: [Block] = []
  }

  private let store: any ObjectStore
  private let prefix: String
  /// Bytes by path below `root`.
  private let files: [String: UInt64]
  private let folders: [String: Set<String>]
  private let root: String
  private let cache = Lock(Cache())
  static let blockBytes = 1 << 20
  static let blocksMax = 32

  /// What lies under `prefix` (empty, or ending with a slash) appears below the directory `root`.
  package init(_ store: any ObjectStore, prefix: String, root: String) async throws(OffSiteError) {
    self.store = store
    self.prefix = prefix
    self.root = root
    var files: [String: UInt64] = [:]
    var folders: [String: Set<String>] = ["": []]
    for object in try await store.list(prefix: prefix) where object.key.hasPrefix(prefix) {
      let path = String(object.key.dropFirst(prefix.count))
      let parts = path.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
      // Names that are no paths are nobody's files.
      guard parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else { continue }
      files[path] = object.bytes
      var folder = ""
      for part in parts {
        folders[folder, default: []].insert(part)
        folder = folder.isEmpty ? part : "\(folder)/\(part)"
      }
    }
    self.files = files
    self.folders = folders.filter { files[$0.key] == nil }
  }

  /// Nil for what lies elsewhere.
  private func below(_ path: String) -> String? {
    if path == root { return "" }
    return path.hasPrefix(root + "/") ? String(path.dropFirst(root.count + 1)) : nil
  }

  package func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> any DiskFile {
    guard case .read = mode else { throw DiskError(.notPermitted, "open", path) }
    guard let name = below(path), let bytes = files[name] else { throw DiskError(.notFound, "open", path) }
    return ObjectFile(self, name: name, path: path, bytes: bytes)
  }

  package func list(_ path: String) throws(DiskError) -> [String] {
    guard let name = below(path), let names = folders[name] else { throw DiskError(.notFound, "list", path) }
    return names.sorted()
  }

  package func info(_ path: String) throws(DiskError) -> FileInfo? {
    guard let name = below(path) else { return nil }
    if let bytes = files[name] { return FileInfo(bytes: bytes, isDirectory: false) }
    return folders[name] == nil ? nil : FileInfo(bytes: 0, isDirectory: true)
  }

  package func makeDirectory(_ path: String) throws(DiskError) { throw DiskError(.notPermitted, "make", path) }
  package func rename(_ from: String, to: String) throws(DiskError) { throw DiskError(.notPermitted, "rename", from) }
  package func remove(_ path: String) throws(DiskError) { throw DiskError(.notPermitted, "remove", path) }
  package func removeDirectory(_ path: String) throws(DiskError) { throw DiskError(.notPermitted, "remove", path) }
  package func syncDirectory(_ path: String) throws(DiskError) { throw DiskError(.notPermitted, "sync", path) }
  package func freeBytes(_ path: String) throws(DiskError) -> UInt64 { throw DiskError(.notPermitted, "size", path) }

  // MARK: bytes

  fileprivate func read(
    _ name: String, _ path: String, _ size: UInt64, into bytes: inout MutableRawSpan, at offset: UInt64
  ) throws(DiskError) -> Int {
    let count = Int(min(UInt64(bytes.byteCount), size > offset ? size - offset : 0))
    var done = 0
    while done < count {
      let at = offset + UInt64(done)
      let number = at / UInt64(Self.blockBytes)
      let block = try block(Block(key: name, number: number), path, size)
      let skip = Int(at - number * UInt64(Self.blockBytes))
      let part = min(count - done, block.count - skip)
      guard part > 0 else { throw DiskError(.io, "read", path) }
      for i in 0..<part { bytes.storeBytes(of: block[skip + i], toByteOffset: done + i, as: UInt8.self) }
      done += part
    }
    return done
  }

  private func block(_ block: Block, _ path: String, _ size: UInt64) throws(DiskError) -> [UInt8] {
    let kept = cache.with { c -> [UInt8]? in
      guard let bytes = c.blocks[block] else { return nil }
      c.order.removeAll { $0 == block }
      c.order.append(block)
      return bytes
    }
    if let kept { return kept }
    let from = block.number * UInt64(Self.blockBytes)
    let count = Int(min(UInt64(Self.blockBytes), size - from))
    let (store, key) = (store, prefix + block.key)
    let bytes = try waiting(path) { () async throws(OffSiteError) in try await store.read(key, from: from, count: count)
    }
    // Another object lies there by now, or half of one.
    guard bytes.count == count else { throw DiskError(.io, "read", path) }
    cache.with { c in
      if c.blocks.updateValue(bytes, forKey: block) == nil { c.order.append(block) }
      if c.order.count > Self.blocksMax { c.blocks[c.order.removeFirst()] = nil }
    }
    return bytes
  }

  /// Blocks this thread, which is none of the cooperative pool's, until `body` has ended.
  private func waiting<T: Sendable>(
    _ path: String, _ body: @escaping @Sendable () async throws(OffSiteError) -> T
  ) throws(DiskError) -> T {
    let result = Lock<Result<T, OffSiteError>?>(nil)
    Task {
      do throws(OffSiteError) {
        let value = try await body()
        result.with { $0 = .success(value) }
      } catch {
        result.with { $0 = .failure(error) }
      }
      result.wake()
    }
    switch result.wait(until: { $0 != nil }, { $0! }) {
    case .success(let value): return value
    case .failure(let error): throw DiskError(error.code == .notFound ? .notFound : .io, "read \(error)", path)
    }
  }
}

private final class ObjectFile: DiskFile {
  private let disk: ObjectDisk
  private let name: String
  let path: String
  private let bytes: UInt64

  init(_ disk: ObjectDisk, name: String, path: String, bytes: UInt64) {
    self.disk = disk
    self.name = name
    self.path = path
    self.bytes = bytes
  }

  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
    try disk.read(name, path, self.bytes, into: &bytes, at: offset)
  }

  func size() throws(DiskError) -> UInt64 { bytes }
  func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) { throw DiskError(.notPermitted, "write", path) }
  func sync() throws(DiskError) { throw DiskError(.notPermitted, "sync", path) }
  func truncate(to bytes: UInt64) throws(DiskError) { throw DiskError(.notPermitted, "truncate", path) }
}
