// A replica's account from a base, beside whatever lies in its place, then in that place by renames.
//
// Bytes come in order and in any pieces. Nothing of it counts before `finish`: a process that ends before leaves a hidden
// directory, which the next start removes.

import AtRest
package import Base
import Disk
import Formats
import OpenSSL
import Threads

package final class BaseBuilder: @unchecked Sendable {
  // Invariant: used by one caller at a time; what it shares with the engine locks itself.
  private enum Part {
    case header
    case keyring(BaseHeader)
    case mark(BaseHeader, Keyring)
    case table(BaseHeader, Keyring, SealedRecord?)
    case pages(next: PageNumber)
    case frames(next: Int)
    case whole
  }

  package let id: AccountID
  private let engine: Engine
  private let directory: String
  private var part = Part.header
  private var buffer: [UInt8] = []
  private var header: BaseHeader?
  private var keyring: Keyring?
  private var table: [BaseChunk] = []
  private var main: MainFile?
  private var volumes: VolumeSet?
  private var used: Set<UInt32> = []
  private var batch: [(PageNumber, [UInt8])] = []
  private var ended = false

  init(_ engine: Engine, _ id: AccountID) throws(StoreError) {
    self.engine = engine
    self.id = id
    directory = "\(engine.configuration.accountsDirectory)/.base-\(id)"
    if try storing({ try engine.disk.info(directory) }) != nil { try engine.disk.removeTree(directory) }
    try storing { try engine.disk.makeDirectory(directory) }
  }

  deinit { cancel() }

  /// The next bytes. Blocks. `.damaged` for what is no base, or one of another account.
  package func takeNow(_ bytes: [UInt8]) throws(StoreError) {
    buffer.append(contentsOf: bytes)
    var used = 0
    while let count = try take(buffer[used...]) { used += count }
    buffer.removeFirst(used)
  }

  /// Takes one thing from the front; nil when it is not all there.
  private func take(_ bytes: ArraySlice<UInt8>) throws(StoreError) -> Int? {
    switch part {
    case .header:
      guard bytes.count >= BaseHeader.byteCount else { return nil }
      do { try begin(try BaseHeader(Array(bytes.prefix(BaseHeader.byteCount)))) } catch let error as FormatError {
        throw StoreError(.damaged, "the base cannot be read: \(error.message)")
      } catch { throw (error as? StoreError) ?? StoreError(.io, "\(error)") }
      return BaseHeader.byteCount
    case .keyring(let header):
      let count = Int(header.keyringBytes)
      guard bytes.count >= count else { return nil }
      try takeKeyring(header, Array(bytes.prefix(count)))
      return count
    case .mark(let header, let keyring):
      let count = Int(header.markBytes)
      guard bytes.count >= count else { return nil }
      if header.position == .start {
        // A new account: its log begins with its first record.
        guard count == 0, header.pages == 0, header.chunks == 0 else {
          throw StoreError(.damaged, "the base of a new account is not empty")
        }
        part = .table(header, keyring, nil)
        return 0
      }
      let mark: SealedRecord
      do { mark = try RecordCodec.parse(bytes.prefix(count)) } catch {
        throw StoreError(.damaged, "the mark of the base cannot be read: \(error.message)")
      }
      guard mark.position == header.position, mark.header.account == id, mark.header.carriesKey else {
        throw StoreError(.damaged, "the base begins with another record than it says")
      }
      part = .table(header, keyring, mark)
      return count
    case .table(let header, let keyring, let mark):
      let count = Int(header.chunks) * BaseChunk.byteCount
      guard bytes.count >= count else { return nil }
      try takeTable(header, keyring, mark, bytes.prefix(count))
      return count
    case .pages(let next):
      guard let header, next <= header.pages else {
        try writeBatch()
        part = .frames(next: 0)
        return 0
      }
      guard bytes.count >= Limits.pageBytes else { return nil }
      batch.append((next, Array(bytes.prefix(Limits.pageBytes))))
      if batch.count >= 256 { try writeBatch() }
      part = .pages(next: next + 1)
      return Limits.pageBytes
    case .frames(let next):
      guard next < table.count else {
        part = .whole
        return nil
      }
      let count = Int(table[next].frameBytes)
      guard bytes.count >= count else { return nil }
      try takeFrame(table[next], Array(bytes.prefix(count)))
      part = .frames(next: next + 1)
      return count
    case .whole:
      if bytes.isEmpty { return nil }
      throw StoreError(.damaged, "the base is longer than it said")
    }
  }

  private func begin(_ header: BaseHeader) throws(StoreError) {
    guard header.account == id else { throw StoreError(.damaged, "the base is another account's") }
    self.header = header
    part = .keyring(header)
  }

  /// The keyring opens with the account's key and is wrapped under this node's.
  private func takeKeyring(_ header: BaseHeader, _ bytes: [UInt8]) throws(StoreError) {
    let path = "\(directory)/\(Shard.keyringName)"
    try storing { try engine.disk.replaceFile(path, bytes) }
    var key = header.accountKey
    do {
      let keyring = try Keyring.open(
        disk: engine.disk, path: path, account: id, unlockedBy: .accountKey(SecretBytes(wiping: &key)))
      try keyring.rewrap(to: engine.kek.with { $0 })
      part = .mark(header, keyring)
    } catch { throw StoreError(error, path) }
  }

  private func takeTable(
    _ header: BaseHeader, _ keyring: Keyring, _ mark: SealedRecord?, _ bytes: ArraySlice<UInt8>
  ) throws(StoreError) {
    var rest = bytes
    while !rest.isEmpty {
      do { table.append(try BaseChunk(rest.prefix(BaseChunk.byteCount))) } catch {
        throw StoreError(.damaged, "the base's table cannot be read: \(error.message)")
      }
      rest = rest.dropFirst(BaseChunk.byteCount)
    }
    self.keyring = keyring
    main = try engine.layOut(id, in: directory, keyring: keyring, base: header.position, pages: header.pages)
    if let mark {
      let before = Position(epoch: 0, index: mark.header.index - 1, checksum: mark.header.previous)
      let segments = try SegmentStore.open(
        disk: engine.disk, directory: "\(directory)/\(Shard.segmentsName)", account: id, base: before,
        configuration: engine.configuration)
      try segments.append([mark])
    }
    volumes = VolumeSet(
      disk: engine.disk, directory: "\(directory)/\(Shard.volumesName)", account: id,
      volumeBytes: engine.configuration.volumeBytes)
    part = .pages(next: 1)
  }

  private func writeBatch() throws(StoreError) {
    let pages = batch
    batch = []
    if !pages.isEmpty { try main!.write(pages) }
  }

  private func takeFrame(_ line: BaseChunk, _ frame: [UInt8]) throws(StoreError) {
    let header: ChunkHeader
    do { header = try ChunkHeader(front: frame[...]) } catch {
      throw StoreError(.damaged, "a chunk of the base cannot be read: \(error.message)")
    }
    guard header.recording == line.recording, header.number == line.number, header.frameBytes == frame.count else {
      throw StoreError(.damaged, "a chunk of the base is not the one that its table names")
    }
    used.insert(try volumes!.append(frame, header))
  }

  /// Makes everything durable and gives the account its place; what lay there goes. Gives the position behind which the
  /// log goes on. Blocks.
  package func finishNow() throws(StoreError) -> Position {
    try takeNow([])
    guard case .whole = part, let header, let main, let volumes, let keyring else {
      throw StoreError(.damaged, "the base ended early")
    }
    try main.sync()
    try volumes.sync(used)
    do { try keyring.settle() } catch { throw StoreError(error, "the keyring") }
    try storing {
      try engine.disk.syncDirectory("\(directory)/\(Shard.volumesName)")
      try engine.disk.syncDirectory(directory)
    }
    try engine.replace(id, by: directory)
    ended = true
    return header.position
  }

  /// Removes what was built. Nothing happens after `finishNow`.
  package func cancel() {
    guard !ended else { return }
    ended = true
    try? engine.disk.removeTree(directory)
  }

  package func take(_ bytes: [UInt8]) async throws { try await engine.onReader { try self.takeNow(bytes) } }
  package func finish() async throws -> Position { try await engine.onReader { try self.finishNow() } }
}

extension Engine {
  /// Begins a replica of the account from a base. Nothing is visible before it is finished.
  package func beginBase(_ id: AccountID) async throws -> BaseBuilder {
    try await onReader { try self.beginBaseNow(id) }
  }

  package func beginBaseNow(_ id: AccountID) throws(StoreError) -> BaseBuilder { try BaseBuilder(self, id) }

  /// Gives a complete directory the account's place. An account that was there is closed and removed: its replica was
  /// too far behind, or damaged.
  func replace(_ id: AccountID, by directory: String) throws(StoreError) {
    if hasAccount(id) { try removeAccountNow(id) }
    try install(directory, as: id)
  }
}
