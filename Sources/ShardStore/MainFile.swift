// The main database file: sealed pages, as of the last checkpoint or a little later.
//
// Only checkpoints write it, and only published versions. Each opening that writes seals under a fresh random key, so no
// nonce can meet itself; the wrapped keys lie in a file beside it, which is synced before the first page that needs one.

import Base
import Disk
import Formats
import OpenSSL
import Threads

final class MainFile: Sendable {
  static let name = "pages.kpgs"
  static let keysName = "pages.keys"

  private struct State {
    var keys: [UInt32: CipherPool] = [:]
    var file: PageKeysFile
    /// The key of this opening; nil until a page is written.
    var writing: (id: UInt32, cipher: AESGCM)?
  }

  private let disk: any Disk
  private let directory: String
  private let account: AccountID
  private let wrap: CipherPool
  private let file: any DiskFile
  private let state: Lock<State>
  private let preparing = Lock(())
  /// Of a file that was written past the page cache: the pieces that somebody read since. Nil for any other.
  private let warm: Lock<Set<UInt64>>?
  private let plain: Bool

  /// Makes an empty database in an existing directory; the caller syncs the directory.
  static func create(
    disk: any Disk, directory: String, account: AccountID, wrap: SecretBytes, plain: Bool, direct: Bool = false
  ) throws(StoreError) -> MainFile {
    try storing {
      let file = try disk.open("\(directory)/\(name)", .create, direct: direct)
      try file.write(PageFileHeader(account: account).encode(), at: 0)
      try file.sync()
      let keys = PageKeysFile(account: account, entries: [])
      try disk.replaceFile("\(directory)/\(keysName)", keys.encode())
      return MainFile(disk, directory, account, wrap, file, keys, plain, direct)
    }
  }

  static func open(
    disk: any Disk, directory: String, account: AccountID, wrap: SecretBytes, plain: Bool, direct: Bool = false
  ) throws(StoreError) -> MainFile {
    let path = "\(directory)/\(name)"
    let keysPath = "\(directory)/\(keysName)"
    let (file, head, keyBytes) = try storing {
      let file = try disk.open(path, .readWrite, direct: direct)
      return (file, try file.read(Limits.pageBytes, at: 0), try disk.readAll(keysPath, limit: 8 << 20))
    }
    do {
      let header = try PageFileHeader(head)
      guard header.account == account else { throw StoreError(.damaged, "\(path) belongs to another account") }
    } catch let error as FormatError { throw StoreError(error, in: path) } catch { throw error as! StoreError }
    let keys: PageKeysFile
    do { keys = try PageKeysFile(keyBytes) } catch { throw StoreError(error, in: keysPath) }
    guard keys.account == account else { throw StoreError(.damaged, "\(keysPath) belongs to another account") }
    let main = MainFile(disk, directory, account, wrap, file, keys, plain, direct)
    try main.unwrapKeys(keysPath)
    return main
  }

  private init(
    _ disk: any Disk, _ directory: String, _ account: AccountID, _ wrap: SecretBytes, _ file: any DiskFile,
    _ keys: PageKeysFile, _ plain: Bool, _ direct: Bool
  ) {
    warm = direct ? Lock([]) : nil
    self.disk = disk
    self.directory = directory
    self.account = account
    self.wrap = CipherPool(key: wrap)
    self.file = file
    self.plain = plain
    state = Lock(State(file: keys))
  }

  private func unwrapKeys(_ path: String) throws(StoreError) {
    let entries = state.with { $0.file.entries }
    for entry in entries {
      let key = wrap.with { $0.open(entry.wrapped, nonce: entry.nonce, aad: keyData(entry.id)) }
      guard var key else { throw StoreError(.damaged, "key \(entry.id) in \(path) does not open") }
      let pool = CipherPool(key: SecretBytes(wiping: &key))
      state.with { $0.keys[entry.id] = pool }
    }
  }

  private func keyData(_ id: UInt32) -> [UInt8] {
    var w = ByteWriter()
    w.put(raw: "page key".utf8)
    w.put(account)
    w.put(id)
    return w.bytes
  }

  private func pageData(_ number: PageNumber) -> [UInt8] {
    var w = ByteWriter(capacity: 24)
    w.put(raw: "page".utf8)
    w.put(account)
    w.put(number)
    return w.bytes
  }

  /// A page with its reserved bytes zeroed. May see a page that is being overwritten: `.damaged`.
  func read(_ number: PageNumber) -> PageImage {
    if let warm { fetch(PageFileHeader.offset(of: number) / Self.pieceBytes, warm) }
    guard var bytes = try? file.read(Limits.pageBytes, at: PageFileHeader.offset(of: number)) else { return .failed }
    guard bytes.count == Limits.pageBytes else { return .beyondEnd }
    let id = bytes[PageTrailer.keyOffset..<PageTrailer.nonceOffset].reversed().reduce(UInt32(0)) {
      $0 << 8 | UInt32($1)
    }
    if plain { return .image(Self.cleared(&bytes)) }
    guard let pool = state.with({ $0.keys[id] }) else { return .damaged }
    let nonce = Array(bytes[PageTrailer.nonceOffset..<PageTrailer.tagOffset])
    let data = pageData(number)
    let opened = pool.with { cipher in
      var span = bytes.mutableSpan
      var raw = span.mutableBytes
      return cipher.openInPlace(
        &raw, text: 0..<PageTrailer.bodyBytes, tag: PageTrailer.tagOffset, nonce: nonce.span.bytes,
        aad: data.span.bytes)
    }
    return opened ? .image(Self.cleared(&bytes)) : .damaged
  }

  private static let pieceBytes: UInt64 = 1 << 20

  /// Page by page each read would wait for the disk: the first one of a piece brings all of it into the cache.
  private func fetch(_ piece: UInt64, _ warm: Lock<Set<UInt64>>) {
    guard warm.with({ $0.insert(piece).inserted }) else { return }
    // What cannot be read shows where it is wanted.
    _ = try? file.read(Int(Self.pieceBytes), at: piece * Self.pieceBytes)
  }

  private static func cleared(_ bytes: inout [UInt8]) -> [UInt8] {
    for i in PageTrailer.bodyBytes..<Limits.pageBytes { bytes[i] = 0 }
    return bytes
  }

  /// Writes pages without a sync. One checkpoint at a time.
  func write(_ pages: [(PageNumber, [UInt8])]) throws(StoreError) {
    let (id, cipher) = try writingKey()
    for (number, image) in pages {
      var bytes = image
      if !plain { seal(&bytes, number, id, cipher) }
      let sealed = bytes
      try storing { try file.write(sealed, at: PageFileHeader.offset(of: number)) }
    }
  }

  /// Writes whole pages that lie one behind the other, `first` in front, without a sync; `buffer` is for their sealed form.
  /// Several threads may write pages of which no two are the same, while nobody uses the other `write`.
  func write(_ pages: [UInt8], from first: PageNumber, by buffer: DiskBuffer) throws(StoreError) {
    let (id, _) = try writingKey()
    guard let pool = state.with({ $0.keys[id] }) else { preconditionFailure("a key that writes is known") }
    buffer.clear()
    pool.with { cipher in
      var number = first
      for start in stride(from: 0, to: pages.count, by: Limits.pageBytes) {
        var bytes = Array(pages[start..<(start + Limits.pageBytes)])
        _ = Self.cleared(&bytes)
        if !plain { seal(&bytes, number, id, cipher) }
        buffer.append(bytes)
        number += 1
      }
    }
    try storing { try file.write(buffer, at: PageFileHeader.offset(of: first)) }
  }

  private func seal(_ bytes: inout [UInt8], _ number: PageNumber, _ id: UInt32, _ cipher: AESGCM) {
    let nonce = SystemRandom.bytes(12)
    for i in 0..<4 { bytes[PageTrailer.keyOffset + i] = UInt8(truncatingIfNeeded: id >> UInt32(8 * i)) }
    for i in 0..<12 { bytes[PageTrailer.nonceOffset + i] = nonce[i] }
    let data = pageData(number)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    cipher.sealInPlace(
      &raw, text: 0..<PageTrailer.bodyBytes, tag: PageTrailer.tagOffset, nonce: nonce.span.bytes, aad: data.span.bytes)
  }

  /// Cuts what lies behind the last page; nobody reads it any more.
  func truncate(pages: UInt32) throws(StoreError) {
    try storing {
      let end = PageFileHeader.offset(of: pages + 1)
      if try file.size() > end { try file.truncate(to: end) }
    }
  }

  func sync() throws(StoreError) { try storing { try file.sync() } }

  private func writingKey() throws(StoreError) -> (UInt32, AESGCM) {
    if let writing = state.with({ $0.writing }) { return writing }
    return try preparing.with { _ throws(StoreError) in try makeWritingKey() }
  }

  private func makeWritingKey() throws(StoreError) -> (UInt32, AESGCM) {
    if let writing = state.with({ $0.writing }) { return writing }
    let key = SecretBytes.random(32)
    var keys = state.with { $0.file }
    let id = (keys.entries.last?.id ?? 0) + 1
    let nonce = SystemRandom.bytes(12)
    var copy = key.copy
    keys.entries.append(
      PageKeysFile.Entry(id: id, nonce: nonce, wrapped: wrap.with { $0.seal(copy, nonce: nonce, aad: keyData(id)) }))
    wipe(&copy)
    guard keys.entries.count < PageKeysFile.entriesMax else {
      throw StoreError(.refused, "the database has too many page keys; restore it into a new account")
    }
    let bytes = keys.encode()
    try storing { try disk.replaceFile("\(directory)/\(Self.keysName)", bytes) }
    let writing = (id: id, cipher: AESGCM(key: key))
    let file = keys
    state.with { s in
      s.file = file
      s.writing = writing
      s.keys[id] = CipherPool(key: key)
    }
    return writing
  }
}
