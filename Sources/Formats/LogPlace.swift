// Where a replica's log ends: the epoch and index of its last record. Places are ordered, the epoch first.
//
// A replica's own place only ever grows: what a new epoch drops is dropped by the record of that epoch which follows.

public import Base

public struct LogPlace: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var epoch: Epoch
  public var index: LogIndex

  public init(epoch: Epoch, index: LogIndex) {
    self.epoch = epoch
    self.index = index
  }

  /// Before the first record.
  public static let start = LogPlace(epoch: 0, index: 0)

  public static func < (a: LogPlace, b: LogPlace) -> Bool { (a.epoch, a.index) < (b.epoch, b.index) }
  public var description: String { "\(epoch).\(index)" }

  func encode(to w: inout ByteWriter) {
    w.put(epoch)
    w.put(index)
  }

  init(from r: inout OwnershipReader) throws(FormatError) {
    epoch = try r.takeEpoch()
    index = try r.takeEpoch()
  }
}
