// What a record of recordings holds inside its seal: the names of recordings that later records of its group make exist.
//
// A replica stores such a record, and what follows it, only when the bytes and keys of all of them are durable there.

public import Base

public struct RecordingsPayload: Sendable, Equatable {
  public static let countMax = 4096
  /// 1 to 4,096.
  public var ids: [RecordingID]

  public init(ids: [RecordingID]) { self.ids = ids }

  /// Traps on a count over the limits: whoever makes one splits before.
  public func encode() -> [UInt8] {
    precondition((1...Self.countMax).contains(ids.count), "\(ids.count) recordings in a record")
    var w = ByteWriter(capacity: 4 + 16 * ids.count)
    w.put(UInt32(ids.count))
    for id in ids { w.put(id) }
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    var r = ByteReader(bytes)
    do throws(BytesError) {
      let count = Int(try r.take(UInt32.self))
      guard (1...Self.countMax).contains(count), r.remaining == 16 * count else {
        ids = []
        throw BytesError("\(count) recordings in \(r.remaining) bytes", at: 0)
      }
      var ids: [RecordingID] = []
      ids.reserveCapacity(count)
      for _ in 0..<count { ids.append(try r.take(id: RecordingID.self)) }
      self.ids = ids
    } catch { throw FormatError(.damaged, error.message, at: error.offset) }
  }
}
