// The first part of a keyring: whose it is, and its account key wrapped under one or more key-encryption keys.
//
// It is written once in the life of a file: another wrap means another file that takes the old one's name. The bytes are
// described in Formats.docc/keyring.md.

public import Base

public struct KeyringHeader: Sendable, Equatable {
  /// The header with its padding; behind it come the two slots.
  public static let byteCount = 3072
  static let version: UInt16 = 1
  static let magic = Array("KKEY".utf8)
  public static let wrapsMax = 4
  public static let keyIDBytesMax = 64
  public static let wrappedBytesMax = 512

  /// The account key under one key-encryption key.
  public struct Wrap: Sendable, Equatable {
    public var keyID: String
    public var wrapped: [UInt8]

    public init(keyID: String, wrapped: [UInt8]) {
      self.keyID = keyID
      self.wrapped = wrapped
    }
  }

  public var account: AccountID
  /// Random, another one for each file, so that a slot copied from another file does not count.
  public var fileID: [UInt8]
  public var wraps: [Wrap]

  public init(account: AccountID, fileID: [UInt8], wraps: [Wrap]) {
    precondition(fileID.count == 16 && (1...Self.wrapsMax).contains(wraps.count))
    precondition(
      wraps.allSatisfy { $0.keyID.utf8.count <= Self.keyIDBytesMax && $0.wrapped.count <= Self.wrappedBytesMax })
    self.account = account
    self.fileID = fileID
    self.wraps = wraps
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: Self.magic)
    w.put(Self.version)
    w.put(UInt16(wraps.count))
    w.put(account)
    w.put(raw: fileID)
    for wrap in wraps {
      w.put(text: wrap.keyID)
      w.put(string: wrap.wrapped)
    }
    w.put(raw: [UInt8](repeating: 0, count: Self.byteCount - 4 - w.bytes.count))
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= 8 else { throw FormatError(.truncated, "a keyring that ends in its header", at: bytes.count) }
    guard Array(bytes[..<4]) == Self.magic else { throw FormatError(.foreign, "not a keyring") }
    guard bytes.count >= Self.byteCount else {
      throw FormatError(.truncated, "a keyring that ends in its header", at: bytes.count)
    }
    var tail = ByteReader(bytes[(Self.byteCount - 4)..<Self.byteCount])
    var r = ByteReader(bytes[..<(Self.byteCount - 4)])
    do throws(BytesError) {
      _ = try r.take(raw: 4)
      let version: UInt16 = try r.take()
      guard version == Self.version else { throw BytesError("keyring version \(version)", at: 4) }
      guard try tail.take(UInt32.self) == CRC32C.checksum(Array(bytes[..<(Self.byteCount - 4)])) else {
        throw BytesError("the keyring's header does not match its checksum", at: 0)
      }
      let count: UInt16 = try r.take()
      guard (1...Self.wrapsMax).contains(Int(count)) else { throw BytesError("\(count) wrapped keys", at: 6) }
      account = try r.take()
      fileID = Array(try r.take(raw: 16))
      wraps = []
      for _ in 0..<count {
        wraps.append(
          Wrap(
            keyID: try r.takeText(limit: Self.keyIDBytesMax),
            wrapped: try r.takeString(limit: Self.wrappedBytesMax)))
      }
      guard try r.take(raw: r.remaining).allSatisfy({ $0 == 0 }) else {
        throw BytesError("the keyring's header has bytes that nobody writes", at: 0)
      }
    } catch {
      throw FormatError(error.offset == 4 ? .version : .damaged, error.message, at: error.offset)
    }
  }
}
