// The main database file: a header block, then page n at byte n × 4096, each sealed by itself.
//
// The last 32 bytes of a page, which SQLite leaves alone, name the key and hold nonce and tag; account and page number
// are bound by the seal. The keys lie wrapped in a file beside it, one for every opening that wrote pages.

public import Base

public struct PageFileHeader: Sendable, Equatable {
  static let version: UInt16 = 1
  public var account: AccountID

  public init(account: AccountID) { self.account = account }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Limits.pageBytes)
    w.put(raw: "KPGS".utf8)
    w.put(Self.version)
    w.put(UInt16(Limits.pageReservedBytes))
    w.put(UInt32(Limits.pageBytes))
    w.put(account)
    w.put(raw: [UInt8](repeating: 0, count: Limits.pageBytes - 4 - w.bytes.count))
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count == Limits.pageBytes else {
      throw FormatError(.truncated, "the header ends early", at: bytes.count)
    }
    guard bytes[..<4].elementsEqual("KPGS".utf8) else {
      throw FormatError(.foreign, "not a database file of an account")
    }
    guard bytes[4] == UInt8(Self.version), bytes[5] == 0 else { throw FormatError(.version, "unknown version", at: 4) }
    account = AccountID(bytes: bytes[12..<28])
    guard encode() == bytes else { throw FormatError(.damaged, "the header does not match its checksum") }
  }

  /// Byte at which page `number` begins.
  public static func offset(of number: PageNumber) -> UInt64 { UInt64(number) * UInt64(Limits.pageBytes) }
}

/// The last 32 bytes of a sealed page.
public enum PageTrailer {
  public static let keyOffset = Limits.pageBytes - 32
  public static let nonceOffset = Limits.pageBytes - 28
  public static let tagOffset = Limits.pageBytes - 16
  /// Bytes of a page that are SQLite's.
  public static let bodyBytes = Limits.pageBytes - Limits.pageReservedBytes
}

/// The wrapped keys of a main database file, newest last.
public struct PageKeysFile: Sendable, Equatable {
  public struct Entry: Sendable, Equatable {
    public var id: UInt32
    public var nonce: [UInt8]
    /// Key and tag: 48 bytes.
    public var wrapped: [UInt8]
    public init(id: UInt32, nonce: [UInt8], wrapped: [UInt8]) {
      self.id = id
      self.nonce = nonce
      self.wrapped = wrapped
    }
  }
  static let version: UInt16 = 1
  public var account: AccountID
  public var entries: [Entry]

  public init(account: AccountID, entries: [Entry]) {
    self.account = account
    self.entries = entries
  }

  public static let entriesMax = 65_536

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: 64 + entries.count * 64)
    w.put(raw: "KPGK".utf8)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(account)
    w.put(UInt32(entries.count))
    for entry in entries {
      w.put(entry.id)
      w.put(raw: entry.nonce)
      w.put(raw: entry.wrapped)
    }
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    var r = ByteReader(bytes)
    do {
      guard Array(try r.take(raw: 4)) == Array("KPGK".utf8) else {
        throw FormatError(.foreign, "not a file of page keys")
      }
      let version: UInt16 = try r.take()
      guard version == Self.version else { throw FormatError(.version, "page keys version \(version)", at: 4) }
      let reserved: UInt16 = try r.take()
      account = try r.take(id: AccountID.self)
      let count = Int(try r.take(UInt32.self))
      guard count <= Self.entriesMax, reserved == 0 else { throw FormatError(.limit, "\(count) page keys", at: 24) }
      entries = []
      for _ in 0..<count {
        entries.append(
          Entry(id: try r.take(), nonce: Array(try r.take(raw: 12)), wrapped: Array(try r.take(raw: 48))))
      }
      let end = r.offset
      let checksum: UInt32 = try r.take()
      try r.finish()
      guard checksum == CRC32C.checksum(Array(bytes[..<end])) else {
        throw FormatError(.damaged, "the page keys do not match their checksum")
      }
    } catch let error as BytesError {
      throw FormatError(error)
    } catch let error as FormatError {
      throw error
    } catch {
      fatalError("no other error is thrown: \(error)")
    }
  }
}
