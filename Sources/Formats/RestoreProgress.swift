// How far a restore is durable: what one that was killed goes on from (`restore-progress.md`). A file that is damaged, or
// belongs to another restore, means that nothing was there.

public import Base

public struct RestoreProgress: Sendable, Equatable {
  /// What comes next.
  public enum Step: UInt8, Sendable {
    case pages = 1
    /// All pages of the snapshot are there; records of the log may have changed some of them.
    case replay = 2
    case recordings = 3
  }

  public struct Volume: Sendable, Equatable {
    public var number: UInt32
    /// Bytes of it that are durable.
    public var end: UInt64

    public init(number: UInt32, end: UInt64) {
      self.number = number
      self.end = end
    }
  }

  static let magic = "KRPG"
  static let version: UInt16 = 1
  public static let fileName = "restore.krpg"
  public static let bindingBytes = 32
  public static let noteBytesMax = 4096
  /// 256 TiB of recordings in volumes of the usual size.
  public static let volumesMax = 1 << 20
  public static let bytesMax = 128 + noteBytesMax + volumesMax * 12

  /// The account that is being made; zeros where there will be files only.
  public var account: AccountID
  /// Hash of what is restored, from where and into what.
  public var binding: [UInt8]
  public var step: Step
  /// Pages of the database from the first one.
  public var pages: UInt32
  /// Recordings from the first one, where they are files.
  public var rows: UInt64 = 0
  /// Bytes of the list of those files.
  public var listBytes: UInt64 = 0
  /// Bytes of the file of the recording behind `rows`.
  public var fileBytes: UInt64 = 0
  public var volumes: [Volume] = []
  /// What whoever asked for the restore wants to find again.
  public var note: [UInt8]

  public init(account: AccountID, binding: [UInt8], step: Step, pages: UInt32, note: [UInt8] = []) {
    precondition(binding.count == Self.bindingBytes && note.count <= Self.noteBytesMax)
    self.account = account
    self.binding = binding
    self.step = step
    self.pages = pages
    self.note = note
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: 128 + note.count + volumes.count * 12)
    w.put(raw: Self.magic.utf8)
    w.put(Self.version)
    w.put(step.rawValue)
    w.put(UInt8(0))
    w.put(account)
    w.put(raw: binding)
    w.put(pages)
    w.put(rows)
    w.put(listBytes)
    w.put(fileBytes)
    w.put(UInt32(volumes.count))
    for volume in volumes {
      w.put(volume.number)
      w.put(volume.end)
    }
    w.put(string: note)
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count >= 8, bytes[..<4].elementsEqual(Self.magic.utf8) else {
      throw FormatError(.foreign, "not a restore's progress")
    }
    guard bytes[4] == UInt8(Self.version), bytes[5] == 0 else {
      throw FormatError(.version, "progress of an unknown version", at: 4)
    }
    guard let step = Step(rawValue: bytes[6]), bytes[7] == 0 else {
      throw FormatError(.damaged, "an unknown step of a restore", at: 6)
    }
    self.step = step
    var r = ByteReader(bytes)
    do throws(BytesError) {
      _ = try r.take(raw: 8)
      account = try r.take(id: AccountID.self)
      binding = Array(try r.take(raw: Self.bindingBytes))
      pages = try r.take()
      rows = try r.take()
      listBytes = try r.take()
      fileBytes = try r.take()
      let count = Int(try r.take(UInt32.self))
      guard count <= Self.volumesMax, r.remaining >= count * 12 else {
        throw BytesError("progress with \(count) volumes", at: r.offset - 4)
      }
      for _ in 0..<count { volumes.append(Volume(number: try r.take(), end: try r.take())) }
      note = try r.takeString(limit: Self.noteBytesMax)
      let checksum: UInt32 = try r.take()
      try r.finish()
      guard checksum == CRC32C.checksum(Array(bytes.dropLast(4))) else {
        throw BytesError("the progress does not match its checksum", at: bytes.count - 4)
      }
    } catch { throw FormatError(.damaged, error.message, at: error.offset) }
  }
}
