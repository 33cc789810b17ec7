// Keeps a copy of one account's archive in an object store: sealed as it lies here, each file whole or not there.
//
// A round lists both sides, copies what is missing in the order of OffSitePlan, looks whether everything has come, and
// only then writes manifests. A round that is broken off, or whose process dies, is gone on with by the next one: files
// that have come stay, and a large one goes on with its next part. Reading blocks and runs on `pool`.

package import Base
package import Disk
import OpenSSL
package import Threads

package struct OffSiteOptions: Sendable, Equatable {
  /// A larger file goes up in parts of this size; S3 wants 5 MiB at least.
  package var partBytes: Int
  /// Files or parts on their way; each holds one part in memory.
  package var parallel: Int
  /// Nil: the storage itself keeps nothing from being removed.
  package var lock: ObjectLock.Mode?
  /// What a lock lasts: never longer than the window.
  package var windowMicroseconds: Int64

  package init(
    partBytes: Int = 8 << 20, parallel: Int = 4, lock: ObjectLock.Mode? = nil,
    windowMicroseconds: Int64 = 7 * 86_400_000_000
  ) {
    self.partBytes = partBytes
    self.parallel = parallel
    self.lock = lock
    self.windowMicroseconds = windowMicroseconds
  }
}

package struct OffSiteReport: Sendable, Equatable {
  package var copiedFiles = 0
  package var copiedBytes: UInt64 = 0
  /// Parts that an earlier round had brought.
  package var resumedParts = 0
  package var removedFiles = 0
  /// Files that the storage keeps locked; they go in a later round.
  package var lockedFiles = 0

  package init() {}
}

package actor OffSiteCopy {
  private let disk: any Disk
  private let directory: String
  private let store: any ObjectStore
  private let prefix: String
  private let options: OffSiteOptions
  private let pool: WorkPool
  /// Of files that may change without growing: what was sent last, by path.
  private var sent: [String: [UInt8]] = [:]

  /// `directory` is the account's in the archive; objects lie under `prefix`, which ends with a slash. One copier for a
  /// prefix: two archives, of two nodes for example, have prefixes of their own.
  package init(
    disk: any Disk, directory: String, store: any ObjectStore, prefix: String,
    options: OffSiteOptions = OffSiteOptions(),
    pool: WorkPool
  ) {
    self.disk = disk
    self.directory = directory
    self.store = store
    self.prefix = prefix
    self.options = options
    self.pool = pool
  }

  /// One round. `border` as OffSitePlan's; `now` dates locks.
  package func run(
    now: UnixMicroseconds, border: UnixMicroseconds? = nil, progress: @escaping @Sendable (Double) -> Void = { _ in }
  ) async throws(OffSiteError) -> OffSiteReport {
    // Held until the round ends: what expires meanwhile waits.
    let hold = try await onDisk { [disk, directory] in try disk.hold(directory, .shared) }
    defer { withExtendedLifetime(hold) {} }
    let here = try await files()
    let there = try await listing()
    let plan = OffSitePlan(here: here, there: there, border: border)
    let round = OffSiteRound(total: plan.bytes, progress: progress)
    var begun = try await begunUploads(plan)
    for kind in OffSitePlan.Kind.allCases {
      // What manifests name must be there, not only have been accepted.
      if kind == .manifest { try await check(here.filter { $0.kind < .manifest && !$0.kind.isMutable }) }
      let files = plan.uploads.filter { $0.kind == kind }
      let resumed = Dictionary(
        uniqueKeysWithValues: files.compactMap { file in begun[file.path].map { (file.path, $0) } })
      for path in resumed.keys { begun[path] = nil }
      try await copy(files, resumed, round, now)
    }
    if !plan.removals.isEmpty { try await remove(plan.removals, round) }
    return round.report.with { $0 }
  }

  // MARK: what lies where

  private func onDisk<T: Sendable>(_ body: @escaping @Sendable () throws -> T) async throws(OffSiteError) -> T {
    do { return try await pool.perform(body) } catch let error as OffSiteError { throw error } catch {
      throw OffSiteError(.local, "the archive cannot be read for its off-site copy: \(error)")
    }
  }

  private func files() async throws(OffSiteError) -> [OffSitePlan.File] {
    try await onDisk { [disk, directory] in
      var files: [OffSitePlan.File] = []
      for folder in ["packs", "log", "manifests"] {
        let path = "\(directory)/\(folder)"
        guard try disk.info(path) != nil else { continue }
        for name in try disk.list(path) {
          guard let info = try disk.info("\(path)/\(name)"), !info.isDirectory,
            let file = OffSitePlan.File(path: "\(folder)/\(name)", bytes: info.bytes)
          else { continue }
          files.append(file)
        }
      }
      if let info = try disk.info("\(directory)/keyring"),
        let file = OffSitePlan.File(path: "keyring", bytes: info.bytes)
      {
        files.append(file)
      }
      return files
    }
  }

  private func listing() async throws(OffSiteError) -> [String: UInt64] {
    let objects = try await store.list(prefix: prefix).filter { $0.key.hasPrefix(prefix) }
    return Dictionary(objects.map { (String($0.key.dropFirst(prefix.count)), $0.bytes) }) { $1 }
  }

  private func check(_ files: [OffSitePlan.File]) async throws(OffSiteError) {
    let there = try await listing()
    guard let missing = files.first(where: { there[$0.path] != $0.bytes }) else { return }
    throw OffSiteError(
      .damaged, "the off-site storage took \(missing.path) and does not list it with \(missing.bytes) bytes")
  }

  /// Uploads of earlier rounds that go on; the others end here.
  private func begunUploads(_ plan: OffSitePlan) async throws(OffSiteError) -> [String: StoredUpload] {
    var begun: [String: StoredUpload] = [:]
    // Under another name a file may have been another one then.
    let wanted = Set(plan.uploads.filter(\.kind.isFinal).map(\.path))
    for upload in try await store.uploads(prefix: prefix) where upload.key.hasPrefix(prefix) {
      let path = String(upload.key.dropFirst(prefix.count))
      if wanted.contains(path), begun[path] == nil {
        begun[path] = upload
      } else {
        try await store.abort(upload)
      }
    }
    return begun
  }

  // MARK: copying

  private func copy(
    _ files: [OffSitePlan.File], _ begun: [String: StoredUpload], _ round: OffSiteRound, _ now: UnixMicroseconds
  ) async throws(OffSiteError) {
    let small = files.filter { $0.bytes <= UInt64(options.partBytes) }
    try await together(small) { file in try await self.copyWhole(file, round, now) }
    for file in files where file.bytes > UInt64(options.partBytes) {
      try await copyParts(file, begun[file.path], round, now)
    }
  }

  private func together<T: Sendable>(
    _ items: [T], _ body: @escaping @Sendable (T) async throws -> Void
  ) async throws(OffSiteError) {
    let parallel = max(1, options.parallel)
    do {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for (number, item) in items.enumerated() {
          if number >= parallel { try await group.next() }
          group.addTask { try await body(item) }
        }
        try await group.waitForAll()
      }
    } catch let error as OffSiteError { throw error } catch {
      throw OffSiteError(.unavailable, "the copy was broken off")
    }
  }

  private func lock(_ file: OffSitePlan.File, _ now: UnixMicroseconds) -> ObjectLock? {
    // An erasure replaces the keyring; a locked one would bring the erased keys back.
    guard let mode = options.lock, file.kind != .keyring else { return nil }
    return ObjectLock(mode: mode, until: now + options.windowMicroseconds)
  }

  /// Opened once for all of it: the keyring is replaced by a rename at any time, and pieces of two would open nothing.
  private func open(_ file: OffSitePlan.File) async throws(OffSiteError) -> (source: any DiskFile, bytes: UInt64) {
    let path = "\(directory)/\(file.path)"
    let (source, bytes) = try await onDisk { [disk] in
      let source = try disk.open(path, .read)
      return (source, try source.size())
    }
    guard bytes == file.bytes || file.kind.isMutable else {
      throw OffSiteError(.local, "\(path) was replaced before it was copied; the next round takes it")
    }
    return (source, bytes)
  }

  private func read(_ source: any DiskFile, from offset: UInt64, count: Int) async throws(OffSiteError) -> [UInt8] {
    let bytes = try await onDisk { try source.read(count, at: offset) }
    guard bytes.count == count else {
      throw OffSiteError(.local, "\(source.path) has become shorter while it was copied")
    }
    return bytes
  }

  private func copyWhole(_ file: OffSitePlan.File, _ round: OffSiteRound, _ now: UnixMicroseconds) async throws {
    let (source, count) = try await open(file)
    let bytes = try await read(source, from: 0, count: Int(count))
    let hash = file.kind.isMutable ? SHA256.hash(bytes) : []
    if file.kind.isMutable, sent[file.path] == hash { return }
    try await store.put(prefix + file.path, bytes, lock: lock(file, now))
    if file.kind.isMutable { sent[file.path] = hash }
    round.copied(UInt64(bytes.count), isFile: true)
  }

  /// Of its parts' hashes, one after the other.
  private func hash(_ source: any DiskFile, _ bytes: UInt64) async throws(OffSiteError) -> [UInt8] {
    var (hash, offset) = ([UInt8](), UInt64(0))
    while offset < bytes {
      let part = try await read(source, from: offset, count: Int(min(UInt64(options.partBytes), bytes - offset)))
      hash = SHA256.hash(hash + SHA256.hash(part))
      offset += UInt64(part.count)
    }
    return hash
  }

  private func copyParts(
    _ file: OffSitePlan.File, _ begun: StoredUpload?, _ round: OffSiteRound, _ now: UnixMicroseconds
  ) async throws(OffSiteError) {
    let key = prefix + file.path
    let (store, size) = (store, UInt64(options.partBytes))
    let (source, bytes) = try await open(file)
    let newHash = file.kind.isMutable ? try await hash(source, bytes) : []
    if file.kind.isMutable, sent[file.path] == newHash { return }
    let count = Int((bytes + size - 1) / size)
    guard count <= 10_000 else {
      throw OffSiteError(.local, "\(file.path) has more than 10,000 parts: raise offsite.part_bytes")
    }
    func length(_ number: Int) -> UInt64 { min(size, bytes - UInt64(number - 1) * size) }
    var (upload, parts) = (begun, [StoredPart]())
    if let begun {
      do throws(OffSiteError) {
        // Of another size when the configuration was another one: those are put again.
        parts = try await store.parts(of: begun).filter { $0.number <= count && $0.bytes == length($0.number) }
        for part in parts { round.resumed(part.bytes) }
      } catch {
        // Ended meanwhile, or the storage does not say what it has of it.
        guard error.code == .notFound || error.code == .damaged else { throw error }
        try await store.abort(begun)
        upload = nil
      }
    }
    let open: StoredUpload
    if let upload { open = upload } else { open = try await store.beginUpload(key, lock: lock(file, now)) }
    let there = Set(parts.map(\.number))
    let made = Lock(parts)
    try await together((1...count).filter { !there.contains($0) }) { number in
      let offset = UInt64(number - 1) * size
      let bytes = try await self.read(source, from: offset, count: Int(min(size, bytes - offset)))
      let part = try await store.put(part: number, of: open, bytes)
      made.with { $0.append(part) }
      round.copied(UInt64(bytes.count), isFile: false)
    }
    do throws(OffSiteError) { try await store.finish(open, made.with { $0 }) } catch {
      // An answer that got lost: the second attempt finds no upload any more.
      guard error.code == .notFound, try await listing()[file.path] == bytes else { throw error }
    }
    if file.kind.isMutable { sent[file.path] = newHash }
    round.copied(0, isFile: true)
  }

  private func remove(_ paths: [String], _ round: OffSiteRound) async throws(OffSiteError) {
    for (number, path) in paths.enumerated() {
      do throws(OffSiteError) {
        try await store.remove(prefix + path)
        round.report.with { $0.removedFiles += 1 }
      } catch {
        guard error.code == .denied else { throw error }
        // What lies behind it in the order is what it needs.
        return round.report.with { $0.lockedFiles = paths.count - number }
      }
    }
  }
}

/// What a round has done so far.
final class OffSiteRound: Sendable {
  let report = Lock(OffSiteReport())
  private let done = Lock<UInt64>(0)
  private let total: UInt64
  private let progress: @Sendable (Double) -> Void

  init(total: UInt64, progress: @escaping @Sendable (Double) -> Void) {
    self.total = total
    self.progress = progress
  }

  func copied(_ bytes: UInt64, isFile: Bool) {
    report.with { r in
      r.copiedBytes += bytes
      if isFile { r.copiedFiles += 1 }
    }
    advance(bytes)
  }

  func resumed(_ bytes: UInt64) {
    report.with { $0.resumedParts += 1 }
    advance(bytes)
  }

  private func advance(_ bytes: UInt64) {
    let sum = done.with { d in
      d += bytes
      return d
    }
    if total > 0 { progress(min(1, Double(sum) / Double(total))) }
  }
}
