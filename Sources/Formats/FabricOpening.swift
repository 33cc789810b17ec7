// What the first frame of a stream says of it. Layout: Formats.docc/fabric.md.

import Base

/// Who goes first when several streams have something to send.
public enum FabricPriority: UInt8, Sendable, CaseIterable, Comparable {
  /// Beats, votes, acknowledgements: small, and late is as bad as lost.
  case urgent = 0
  case normal = 1
  /// Catch-up, snapshots, recordings.
  case bulk = 2

  public static func < (a: Self, b: Self) -> Bool { a.rawValue < b.rawValue }
}

public struct FabricOpening: Equatable, Sendable {
  public var method: UInt16
  public var priority: FabricPriority
  /// From the moment it is sent; 0 is none.
  public var deadlineMilliseconds: UInt32

  public init(method: UInt16, priority: FabricPriority, deadlineMilliseconds: UInt32 = 0) {
    self.method = method
    self.priority = priority
    self.deadlineMilliseconds = deadlineMilliseconds
  }

  init(_ reader: inout ByteReader) throws(BytesError) {
    guard let priority = FabricPriority(rawValue: try reader.take()) else {
      throw BytesError("no such priority", at: 12)
    }
    guard try reader.take(UInt8.self) == 0 else { throw BytesError("reserved byte is not zero", at: 13) }
    self.priority = priority
    method = try reader.take()
    deadlineMilliseconds = try reader.take()
  }
}
