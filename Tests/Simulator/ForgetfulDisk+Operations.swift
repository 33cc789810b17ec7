// The port's operations on a forgetful disk. Each is announced first, then done under the lock as one step.

internal import Base
public import Disk
internal import Threads

extension ForgetfulDisk {
  public func open(_ path: String, _ mode: OpenMode, direct: Bool) throws(DiskError) -> any DiskFile {
    let isThere = try info(path) != nil
    if isThere, mode == .create { throw DiskError(.exists, "open", path) }
    if !isThere, mode == .read || mode == .readWrite { throw DiskError(.notFound, "open", path) }
    let node = try perform(isThere ? .open : .create, "open", path) { (s) throws(DiskError) -> Int in
      guard let entry = s.names.parent(of: path) else { throw DiskError(.notFound, "open", path) }
      if let node = s.names.node(at: entry) {
        if mode == .create { throw DiskError(.exists, "open", path) }
        guard s.files[node] != nil else { throw DiskError(.other(Self.isADirectory), "open", path) }
        s.files[node]!.handles += 1
        return node
      }
      guard mode == .create || mode == .createOrOpen else { throw DiskError(.notFound, "open", path) }
      let node = s.make()
      s.files[node] = ForgetfulFileState()
      s.files[node]!.handles = 1
      s.names.create(node, at: entry, directory: false)
      return node
    }
    return ForgetfulFile(disk: self, node: node, path: path, isWritable: mode != .read)
  }

  public func makeDirectory(_ path: String) throws(DiskError) {
    if let found = try info(path) {
      if found.isDirectory { return }
      throw DiskError(.exists, "make directory", path)
    }
    if let parent = parentDirectory(of: path) { try makeDirectory(parent) }
    try perform(.makeDirectory, "make directory", path) { (s) throws(DiskError) in
      guard let entry = s.names.parent(of: path) else { throw DiskError(.notFound, "make directory", path) }
      if s.names.node(at: entry) == nil { s.names.create(s.make(), at: entry, directory: true) }
    }
  }

  public func list(_ path: String) throws(DiskError) -> [String] {
    try alive("list", path) { (s) throws(DiskError) in
      guard let node = s.node(path), let entries = s.names.current[node] else {
        throw DiskError(.notFound, "list", path)
      }
      return entries.keys.sorted()
    }
  }

  public func info(_ path: String) throws(DiskError) -> FileInfo? {
    try alive("look at", path) { (s) throws(DiskError) in
      guard let node = s.node(path) else { return nil }
      if s.names.isDirectory(node) { return FileInfo(bytes: 4096, isDirectory: true) }
      return FileInfo(bytes: UInt64(s.files[node]!.current.length), isDirectory: false)
    }
  }

  public func rename(_ from: String, to: String) throws(DiskError) {
    try perform(.rename, "rename", from, to) { (s) throws(DiskError) in
      guard let source = s.names.parent(of: from), let node = s.names.node(at: source),
        let target = s.names.parent(of: to)
      else { throw DiskError(.notFound, "rename", from) }
      if let old = s.names.node(at: target), s.names.isDirectory(old) != s.names.isDirectory(node) {
        throw DiskError(.other(s.names.isDirectory(old) ? Self.isADirectory : Self.notADirectory), "rename", from)
      }
      s.names.rename(node, from: source, to: target)
    }
  }

  public func remove(_ path: String) throws(DiskError) {
    try perform(.remove, "remove", path) { (s) throws(DiskError) in
      guard let entry = s.names.parent(of: path), let node = s.names.node(at: entry) else {
        throw DiskError(.notFound, "remove", path)
      }
      if s.names.isDirectory(node) { throw DiskError(.other(Self.isADirectory), "remove", path) }
      s.names.remove(node, at: entry)
    }
  }

  public func removeDirectory(_ path: String) throws(DiskError) {
    try perform(.removeDirectory, "remove directory", path) { (s) throws(DiskError) in
      guard let entry = s.names.parent(of: path), let node = s.names.node(at: entry) else {
        throw DiskError(.notFound, "remove directory", path)
      }
      guard let entries = s.names.current[node] else {
        throw DiskError(.notFound, "remove directory", path)
      }
      if !entries.isEmpty { throw DiskError(.exists, "remove directory", path) }
      s.names.remove(node, at: entry)
    }
  }

  public func syncDirectory(_ path: String) throws(DiskError) {
    try perform(.syncDirectory, "sync directory", path) { (s) throws(DiskError) in
      guard let node = s.node(path), s.names.isDirectory(node) else {
        throw DiskError(.notFound, "sync directory", path)
      }
      s.names.sync(node)
      s.collect()
    }
  }

  public func freeBytes(_ path: String) throws(DiskError) -> UInt64 {
    try alive("look at", path) { (s) throws(DiskError) in UInt64(max(0, s.freeBytes)) }
  }

  // Linux's numbers for what the port has no case for.
  static let isADirectory: Int32 = 21
  static let notADirectory: Int32 = 20

  func alive<R>(
    _ operation: String, _ path: String, _ body: (inout State) throws(DiskError) -> R
  ) throws(DiskError) -> R {
    try state.with { (s) throws(DiskError) in
      if s.isDead { throw DiskError(.io, operation, path) }
      return try body(&s)
    }
  }

  /// Announces an operation, lets a fault take its place, else does it.
  @discardableResult
  func perform<R>(
    _ kind: DiskOperation.Kind, _ operation: String, _ path: String, _ announced: String? = nil,
    half: (inout State) -> Void = { _ in }, failed: (inout State) -> Void = { _ in },
    _ body: (inout State) throws(DiskError) -> R
  ) throws(DiskError) -> R {
    let name = announced ?? path
    let (event, hook, rule) = try alive(operation, path) { (s) throws(DiskError) in
      if kind.changes { s.operations += 1 }
      return (DiskOperation(kind: kind, path: name, index: s.operations), s.hook, s.ruled(kind, name))
    }
    let fault = rule.map { DiskFault.fail($0) } ?? hook?(event) ?? .proceed
    return try alive(operation, path) { (s) throws(DiskError) in
      switch fault {
      case .proceed: return try body(&s)
      case .fail(let code), .failHalf(let code):
        s.count(failed: kind)
        if case .failHalf = fault { half(&s) }
        failed(&s)
        throw DiskError(code, operation, path)
      case .stop(let moment):
        if moment == .middle { half(&s) }
        if moment == .after { _ = try body(&s) }
        s.isDead = true
        throw DiskError(.io, operation, path)
      }
    }
  }
}

extension ForgetfulDisk.State {
  func node(_ path: String) -> Int? { names.parent(of: path).flatMap { names.node(at: $0) } }

  mutating func make() -> Int {
    defer { nextNode += 1 }
    return nextNode
  }

  var freeBytes: Int {
    guard let capacityBytes else { return 1 << 40 }
    let named = names.named
    return files.reduce(capacityBytes) { free, file in
      guard file.value.handles > 0 || named.contains(file.key) else { return free }
      return free - (file.value.current.length + 4095) & ~4095
    }
  }

  /// Forgets files that nobody can reach any more, not even after a crash.
  mutating func collect() {
    guard files.count > 0 else { return }
    let reachable = names.reachable
    for (node, file) in files where file.handles == 0 && !reachable.contains(node) { files[node] = nil }
  }

  mutating func ruled(_ kind: DiskOperation.Kind, _ path: String) -> DiskError.Code? {
    for i in rules.indices where rules[i].kind == kind && rules[i].times > 0 && rules[i].matches(path) {
      if rules[i].skip > 0 {
        rules[i].skip -= 1
        continue
      }
      rules[i].times -= 1
      return rules[i].code
    }
    return nil
  }

  mutating func count(failed kind: DiskOperation.Kind) {
    switch kind {
    case .sync, .syncDirectory: counts.failedSyncs += 1
    case .write: counts.failedWrites += 1
    default: counts.otherFailures += 1
    }
  }
}
