// Where redo of an account's database begins. Two slots are written in turn, so that one is always whole.

public import Base

public struct RedoSlot: Sendable, Equatable {
  public static let byteCount = 512
  /// Distance of the two slots: no device block holds both.
  public static let spacing = 4096
  static let version: UInt16 = 1

  public var account: AccountID
  /// Grows with every write; the greater of two whole slots counts.
  public var sequence: UInt64
  /// The mark: everything at or before it is in the main file.
  public var mark: Position
  /// Pages of the database in the main file when the mark's checkpoint ended.
  public var databasePages: UInt32
  /// The segments reach at least here.
  public var segmentsEnd: Position
  /// Greatest epoch that the shard has used.
  public var epoch: Epoch
  /// Everything up to here is committed, and may be in the main file.
  public var committed: LogIndex
  /// How far the log was when its tail was cut behind `cut`: what follows there may be of older epochs. Nothing where no
  /// tail was cut, or the log is that far again for good.
  public var reached: LogPlace
  public var cut: Position

  public init(
    account: AccountID, sequence: UInt64, mark: Position, databasePages: UInt32, segmentsEnd: Position, epoch: Epoch,
    committed: LogIndex = 0, reached: LogPlace = .start, cut: Position = .start
  ) {
    self.account = account
    self.sequence = sequence
    self.mark = mark
    self.databasePages = databasePages
    self.segmentsEnd = segmentsEnd
    self.epoch = epoch
    self.committed = committed
    self.reached = reached
    self.cut = cut
  }

  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: Self.byteCount)
    w.put(raw: "KRDO".utf8)
    w.put(Self.version)
    w.put(UInt16(0))
    w.put(account)
    w.put(sequence)
    Self.put(mark, into: &w)
    Self.put(segmentsEnd, into: &w)
    w.put(databasePages)
    w.put(epoch)
    w.put(committed)
    reached.encode(to: &w)
    Self.put(cut, into: &w)
    w.put(raw: [UInt8](repeating: 0, count: Self.byteCount - 4 - w.bytes.count))
    w.put(CRC32C.checksum(w.bytes))
    return w.bytes
  }

  private static func put(_ position: Position, into w: inout ByteWriter) {
    w.put(position.epoch)
    w.put(position.index)
    w.put(position.checksum)
  }

  private static func takePosition(_ r: inout ByteReader) throws(BytesError) -> Position {
    Position(epoch: try r.take(), index: try r.take(), checksum: try r.takeChecksum())
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    var r = ByteReader(bytes)
    do {
      guard Array(try r.take(raw: 4)) == Array("KRDO".utf8) else { throw FormatError(.foreign, "not a redo slot") }
      let version: UInt16 = try r.take()
      guard version == Self.version else { throw FormatError(.version, "redo slot version \(version)", at: 4) }
      let reserved: UInt16 = try r.take()
      account = try r.take(id: AccountID.self)
      sequence = try r.take()
      mark = try Self.takePosition(&r)
      segmentsEnd = try Self.takePosition(&r)
      databasePages = try r.take()
      epoch = try r.take()
      committed = try r.take()
      reached = LogPlace(epoch: try r.take(), index: try r.take())
      cut = try Self.takePosition(&r)
      let zeros = try r.take(raw: Self.byteCount - 4 - r.offset)
      let checksum: UInt32 = try r.take()
      guard checksum == CRC32C.checksum(Array(bytes[..<(Self.byteCount - 4)])), reserved == 0,
        zeros.allSatisfy({ $0 == 0 })
      else { throw FormatError(.damaged, "the redo slot does not match its checksum") }
    } catch let error as BytesError {
      throw FormatError(error)
    } catch let error as FormatError {
      throw error
    } catch {
      fatalError("no other error is thrown: \(error)")
    }
  }
}
