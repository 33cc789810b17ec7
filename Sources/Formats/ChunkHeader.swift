// The frame of one chunk of a recording in a volume: says of itself whose it is and how long, so that a volume can be
// walked and repaired without any index. The bytes are described in Formats.docc/recording-chunk.md.

public import Base

public struct ChunkHeader: Sendable, Equatable {
  public static let byteCount = 48
  public static let tagBytes = 16
  static let version: UInt8 = 1
  static let magic = Array("KCHK".utf8)

  /// How the original bytes became the sealed ones.
  public struct Coding: RawRepresentable, Sendable, Hashable {
    public var rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let stored = Coding(rawValue: 0)
    public static let zstd = Coding(rawValue: 1)
    /// An audio chunk: see audio-chunk.md.
    public static let audio = Coding(rawValue: 2)
  }

  public var coding: Coding
  public var isLast: Bool
  public var recording: RecordingID
  /// From 0 without gaps.
  public var number: UInt32
  public var originalBytes: UInt32
  /// Coded bytes, as many as their cipher text; the tag comes on top.
  public var codedBytes: UInt32
  /// Random; the first part of the nonce, whose rest is the number.
  public var salt: UInt64

  public init(
    coding: Coding, isLast: Bool, recording: RecordingID, number: UInt32, originalBytes: UInt32, codedBytes: UInt32,
    salt: UInt64
  ) {
    self.coding = coding
    self.isLast = isLast
    self.recording = recording
    self.number = number
    self.originalBytes = originalBytes
    self.codedBytes = codedBytes
    self.salt = salt
  }

  /// Header, cipher text and tag.
  public var frameBytes: Int { Self.byteCount + Int(codedBytes) + Self.tagBytes }

  public var nonce: [UInt8] {
    var w = ByteWriter(capacity: 12)
    w.put(salt)
    w.put(number)
    return w.bytes
  }

  /// What the seal is bound to: the account and the whole header.
  public func binding(_ account: AccountID) -> [UInt8] { account.bytes + encode() }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: Self.magic)
    w.put(Self.version)
    w.put(coding.rawValue)
    w.put(UInt8(isLast ? 1 : 0))
    w.put(UInt8(0))
    w.put(recording)
    w.put(number)
    w.put(originalBytes)
    w.put(codedBytes)
    w.put(salt)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  /// Reads the header at the front of `bytes`.
  public init(front bytes: ArraySlice<UInt8>) throws(FormatError) {
    guard bytes.count >= Self.byteCount else {
      throw FormatError(.truncated, "a recording chunk that ends in its header", at: bytes.count)
    }
    guard Array(bytes.prefix(4)) == Self.magic else { throw FormatError(.foreign, "not a recording chunk") }
    var r = ByteReader(bytes)
    do throws(BytesError) {
      _ = try r.take(raw: 4)
      let version: UInt8 = try r.take()
      coding = Coding(rawValue: try r.take())
      let flags: UInt8 = try r.take()
      let reserved: UInt8 = try r.take()
      recording = try r.take()
      number = try r.take()
      originalBytes = try r.take()
      codedBytes = try r.take()
      salt = try r.take()
      let checksum: UInt32 = try r.take()
      isLast = flags == 1
      guard checksum == CRC32C.checksum(Array(bytes.prefix(Self.byteCount - 4))) else {
        throw BytesError("a recording chunk's header does not match its checksum", at: 0)
      }
      guard version == Self.version, flags <= 1, reserved == 0 else {
        throw BytesError("a recording chunk of a newer version", at: 4)
      }
    } catch {
      throw FormatError(error.offset == 4 ? .version : .damaged, error.message, at: error.offset)
    }
    guard originalBytes <= Limits.recordingChunkBytes, codedBytes <= originalBytes else {
      throw FormatError(.limit, "a recording chunk with lengths that no writer makes", at: 28)
    }
  }
}
