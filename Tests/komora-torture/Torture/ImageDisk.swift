// A disk in memory whose whole content is a value: a test copies it, changes one byte, and throws it away.

import Disk
import Threads

struct DiskImage: Sendable {
  var files: [String: [UInt8]] = [:]
  var directories: Set<String> = ["/"]
}

final class ImageDisk: Disk {
  /// What a name stands for, so that an open file outlives its name.
  fileprivate final class Node: Sendable {
    let bytes: Lock<[UInt8]>
    init(_ bytes: [UInt8]) { self.bytes = Lock(bytes) }
  }

  private struct State {
    var nodes: [String: Node]
    var directories: Set<String>
  }

  private let state: Lock<State>

  init(_ image: DiskImage = DiskImage()) {
    state = Lock(State(nodes: image.files.mapValues { Node($0) }, directories: image.directories))
  }

  var image: DiskImage {
    state.with { s in
      DiskImage(files: s.nodes.mapValues { node in node.bytes.with { $0 } }, directories: s.directories)
    }
  }

  func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> any DiskFile {
    try state.with { (s) throws(DiskError) in
      if let node = s.nodes[path] {
        if mode == .create { throw DiskError(.exists, "open", path) }
        return ImageFile(path, node)
      }
      guard mode == .create || mode == .createOrOpen, s.directories.contains(parentDirectory(of: path) ?? "/") else {
        throw DiskError(.notFound, "open", path)
      }
      let node = Node([])
      s.nodes[path] = node
      return ImageFile(path, node)
    }
  }

  func makeDirectory(_ path: String) throws(DiskError) {
    state.with { s in
      var path = path
      while s.directories.insert(path).inserted, let parent = parentDirectory(of: path) { path = parent }
    }
  }

  func list(_ path: String) throws(DiskError) -> [String] {
    try state.with { (s) throws(DiskError) in
      guard s.directories.contains(path) else { throw DiskError(.notFound, "list", path) }
      let prefix = path + "/"
      let names = (Array(s.nodes.keys) + Array(s.directories)).filter { $0.hasPrefix(prefix) }
      return names.map { String($0.dropFirst(prefix.count)) }.filter { !$0.contains("/") }.sorted()
    }
  }

  func info(_ path: String) throws(DiskError) -> FileInfo? {
    state.with { s in
      if let node = s.nodes[path] { return FileInfo(bytes: UInt64(node.bytes.with { $0.count }), isDirectory: false) }
      return s.directories.contains(path) ? FileInfo(bytes: 4096, isDirectory: true) : nil
    }
  }

  func rename(_ from: String, to: String) throws(DiskError) {
    try state.with { (s) throws(DiskError) in
      if let node = s.nodes.removeValue(forKey: from) {
        s.nodes[to] = node
        return
      }
      guard s.directories.contains(from) else { throw DiskError(.notFound, "rename", from) }
      for (path, node) in s.nodes where path.hasPrefix(from + "/") {
        s.nodes[path] = nil
        s.nodes[to + path.dropFirst(from.count)] = node
      }
      for path in s.directories where path == from || path.hasPrefix(from + "/") {
        s.directories.remove(path)
        s.directories.insert(to + path.dropFirst(from.count))
      }
    }
  }

  func remove(_ path: String) throws(DiskError) {
    guard state.with({ $0.nodes.removeValue(forKey: path) }) != nil else { throw DiskError(.notFound, "remove", path) }
  }

  func removeDirectory(_ path: String) throws(DiskError) { _ = state.with { $0.directories.remove(path) } }
  func syncDirectory(_ path: String) throws(DiskError) {}
  func freeBytes(_ path: String) throws(DiskError) -> UInt64 { 1 << 40 }
}

private final class ImageFile: DiskFile {
  let path: String
  private let node: ImageDisk.Node

  init(_ path: String, _ node: ImageDisk.Node) {
    self.path = path
    self.node = node
  }

  func read(into bytes: inout MutableRawSpan, at offset: UInt64) throws(DiskError) -> Int {
    let wanted = bytes.byteCount
    let part = node.bytes.with { all -> [UInt8] in
      let start = Int(min(offset, UInt64(all.count)))
      return Array(all[start..<min(all.count, start + wanted)])
    }
    bytes.withUnsafeMutableBytes { target in target.copyBytes(from: part) }
    return part.count
  }

  func write(_ bytes: RawSpan, at offset: UInt64) throws(DiskError) {
    let new = bytes.withUnsafeBytes { Array($0) }
    node.bytes.with { all in
      let end = Int(offset) + new.count
      if all.count < end { all.append(contentsOf: repeatElement(0, count: end - all.count)) }
      all.replaceSubrange(Int(offset)..<end, with: new)
    }
  }

  func sync() throws(DiskError) {}
  func size() throws(DiskError) -> UInt64 { UInt64(node.bytes.with { $0.count }) }
  func truncate(to length: UInt64) throws(DiskError) {
    node.bytes.with { all in
      if all.count > Int(length) {
        all.removeLast(all.count - Int(length))
      } else {
        all.append(contentsOf: repeatElement(0, count: Int(length) - all.count))
      }
    }
  }
}
