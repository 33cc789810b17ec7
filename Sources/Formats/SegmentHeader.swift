// The head of a segment: a run of one account's published records, cut out of the commit log. Frames follow, verbatim.

public import Base

public struct SegmentHeader: Sendable, Equatable {
  public static let byteCount = 64
  static let version: UInt16 = 1
  public var account: AccountID
  /// Index of the first record.
  public var firstIndex: LogIndex
  /// Checksum of the record before the first.
  public var previous: Checksum

  public init(account: AccountID, firstIndex: LogIndex, previous: Checksum) {
    self.account = account
    self.firstIndex = firstIndex
    self.previous = previous
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: "KSEG".utf8)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(account)
    w.put(firstIndex)
    w.put(previous)
    w.put(raw: [UInt8](repeating: 0, count: Self.byteCount - 4 - w.bytes.count))
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    var r = ByteReader(bytes)
    do {
      guard Array(try r.take(raw: 4)) == Array("KSEG".utf8) else { throw FormatError(.foreign, "not a segment") }
      let version: UInt16 = try r.take()
      guard version == Self.version else { throw FormatError(.version, "segment version \(version)", at: 4) }
      let reserved: UInt16 = try r.take()
      account = try r.take(id: AccountID.self)
      firstIndex = try r.take()
      previous = try r.takeChecksum()
      let zeros = try r.take(raw: Self.byteCount - 4 - r.offset)
      let checksum: UInt32 = try r.take()
      guard checksum == CRC32C.checksum(Array(bytes[..<(Self.byteCount - 4)])), reserved == 0,
        zeros.allSatisfy({ $0 == 0 })
      else { throw FormatError(.damaged, "the segment's header does not match its checksum") }
    } catch let error as BytesError {
      throw FormatError(error)
    } catch let error as FormatError {
      throw error
    } catch {
      fatalError("no other error is thrown: \(error)")
    }
  }

  /// `<first index, 16 digits>.kseg`, so that names sort like indexes.
  public var fileName: String { Self.fileName(firstIndex: firstIndex) }
  public static func fileName(firstIndex: LogIndex) -> String {
    let hex = String(firstIndex, radix: 16)
    return String(repeating: "0", count: 16 - hex.count) + hex + ".kseg"
  }
}
