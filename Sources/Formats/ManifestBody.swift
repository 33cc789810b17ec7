// What a manifest lists, before it is sealed: the chunks of the database in page order and the recordings.
//
// The root is a hash over the names in order, and names are keyed hashes of the pages with their reserved bytes zeroed:
// replicas that hold equal pages and the same keyring compute equal roots. Layout: Formats.docc/manifest.md.

public import Base

public struct ManifestBody: Equatable, Sendable {
  public struct Recording: Equatable, Sendable {
    public var id: RecordingID
    /// Original bytes.
    public var bytes: UInt64
    public var chunks: Int
    /// Hash over the keyed hashes of its original chunks, in order.
    public var root: [UInt8]

    public init(id: RecordingID, bytes: UInt64, chunks: Int, root: [UInt8]) {
      self.id = id
      self.bytes = bytes
      self.chunks = chunks
      self.root = root
    }
  }

  public var databaseRoot: [UInt8]
  /// One name for each group of `Limits.snapshotGroupPages` pages; the last may hold fewer.
  public var groups: [ChunkName]
  /// Sorted by id, none twice.
  public var recordings: [Recording]

  static let rootBytes = 32
  static let recordingBytes = 60

  public init(databaseRoot: [UInt8], groups: [ChunkName], recordings: [Recording]) {
    self.databaseRoot = databaseRoot
    self.groups = groups
    self.recordings = recordings
  }

  public func encode() -> [UInt8] {
    var writer = ByteWriter(capacity: 40 + groups.count * 32 + recordings.count * Self.recordingBytes)
    writer.put(raw: databaseRoot)
    writer.put(UInt32(groups.count))
    writer.put(UInt32(recordings.count))
    for name in groups { writer.put(raw: name.bytes) }
    for recording in recordings {
      writer.put(recording.id)
      writer.put(recording.bytes)
      writer.put(UInt32(recording.chunks))
      writer.put(raw: recording.root)
    }
    return writer.bytes
  }

  public init(decoding bytes: [UInt8]) throws(BytesError) {
    var reader = ByteReader(bytes)
    databaseRoot = Array(try reader.take(raw: Self.rootBytes))
    let groupCount = Int(try reader.take(UInt32.self))
    let recordingCount = Int(try reader.take(UInt32.self))
    guard groupCount * ChunkName.byteCount + recordingCount * Self.recordingBytes == reader.remaining else {
      throw BytesError("lists have another length than the manifest says", at: 32)
    }
    groups = []
    groups.reserveCapacity(groupCount)
    for _ in 0..<groupCount { groups.append(ChunkName(bytes: try reader.take(raw: ChunkName.byteCount))) }
    recordings = []
    recordings.reserveCapacity(recordingCount)
    for _ in 0..<recordingCount {
      let start = reader.offset
      let recording = Recording(
        id: try reader.take(), bytes: try reader.take(), chunks: Int(try reader.take(UInt32.self)),
        root: Array(try reader.take(raw: Self.rootBytes)))
      if let last = recordings.last, last.id >= recording.id {
        throw BytesError("recordings are not in order or listed twice", at: start)
      }
      guard recording.bytes <= UInt64(Limits.recordingBytesMax), recording.chunks <= Int(recording.bytes) + 1 else {
        throw BytesError("recording has an impossible size", at: start)
      }
      recordings.append(recording)
    }
  }

  /// Whether header and lists speak of the same snapshot.
  public func check(against header: ManifestHeader) throws(BytesError) {
    let pages = Limits.snapshotGroupPages
    guard groups.count == (header.databasePages + pages - 1) / pages else {
      throw BytesError("manifest lists \(groups.count) groups for \(header.databasePages) pages", at: 32)
    }
    guard recordings.count == header.recordings else { throw BytesError("count of recordings differs", at: 36) }
    guard recordings.reduce(0, { $0 &+ $1.bytes }) == header.recordingBytes else {
      throw BytesError("size of recordings differs", at: 36)
    }
  }
}
