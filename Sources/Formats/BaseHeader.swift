// The front of a base: everything that a new replica of an account needs before the log, as one stream of bytes that may
// be read from any place. Layout: `base.md`.

public import Base

public struct BaseHeader: Sendable, Equatable {
  public static let byteCount = 128
  static let version: UInt16 = 1

  public var account: AccountID
  /// A mark: the first change of a page behind it is a whole image.
  public var position: Position
  public var pages: UInt32
  public var keyringBytes: UInt32
  /// The mark's frame: it carries the key of its epoch.
  public var markBytes: UInt32
  /// Chunks of recordings.
  public var chunks: UInt32
  /// Opens the keyring that follows. The stream is between two nodes that both hold the account.
  public var accountKey: [UInt8]

  public init(
    account: AccountID, position: Position, pages: UInt32, keyringBytes: UInt32, markBytes: UInt32, chunks: UInt32,
    accountKey: [UInt8]
  ) {
    precondition(accountKey.count == 32)
    self.account = account
    self.position = position
    self.pages = pages
    self.keyringBytes = keyringBytes
    self.markBytes = markBytes
    self.chunks = chunks
    self.accountKey = accountKey
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: "KBAS".utf8)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(account)
    w.put(position.epoch)
    w.put(position.index)
    w.put(position.checksum)
    w.put(pages)
    w.put(keyringBytes)
    w.put(markBytes)
    w.put(chunks)
    w.put(raw: accountKey)
    w.put(raw: [UInt8](repeating: 0, count: Self.byteCount - 4 - w.bytes.count))
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count == Self.byteCount else { throw FormatError(.truncated, "a base begins with 128 bytes") }
    guard CRC32C.checksum(Array(bytes.dropLast(4))) == bytes.suffix(4).reversed().reduce(0, { $0 << 8 | UInt32($1) })
    else { throw FormatError(.damaged, "the head of a base does not match its checksum") }
    var r = ByteReader(bytes[...])
    do {
      guard Array(try r.take(raw: 4)) == Array("KBAS".utf8) else { throw FormatError(.foreign, "not a base") }
      let version: UInt16 = try r.take()
      guard version == Self.version else { throw FormatError(.version, "base version \(version)", at: 4) }
      let reserved: UInt16 = try r.take()
      guard reserved == 0 else { throw FormatError(.damaged, "reserved bytes are not zero", at: 6) }
      account = try r.take(id: AccountID.self)
      position = Position(epoch: try r.take(), index: try r.take(), checksum: try r.takeChecksum())
      pages = try r.take()
      keyringBytes = try r.take()
      markBytes = try r.take()
      chunks = try r.take()
      accountKey = Array(try r.take(raw: 32))
    } catch let error as BytesError {
      throw FormatError(error)
    } catch let error as FormatError {
      throw error
    } catch {
      fatalError("no other error is thrown: \(error)")
    }
    guard Int(pages) <= Limits.databasePagesMax else { throw FormatError(.limit, "\(pages) pages") }
    guard Int(markBytes) <= Limits.recordBytesMax + RecordHeader.byteCount else {
      throw FormatError(.limit, "a mark of \(markBytes) bytes")
    }
  }
}

/// One line of a base's table: a chunk of a recording, and how long its frame is.
public struct BaseChunk: Sendable, Equatable {
  public static let byteCount = 24
  public var recording: RecordingID
  public var number: UInt32
  public var frameBytes: UInt32

  public init(recording: RecordingID, number: UInt32, frameBytes: UInt32) {
    self.recording = recording
    self.number = number
    self.frameBytes = frameBytes
  }

  public func encode(to w: inout ByteWriter) {
    w.put(recording)
    w.put(number)
    w.put(frameBytes)
  }

  public init(_ bytes: ArraySlice<UInt8>) throws(FormatError) {
    var r = ByteReader(bytes)
    do {
      recording = try r.take(id: RecordingID.self)
      number = try r.take()
      frameBytes = try r.take()
    } catch { throw FormatError(error) }
    guard frameBytes >= 1, Int(frameBytes) <= Limits.recordingChunkBytes * 2 else {
      throw FormatError(.limit, "a chunk of \(frameBytes) bytes")
    }
  }
}
