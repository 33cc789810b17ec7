// A record as it travels: header and frame. An object, since it goes from list to list on its way.
//
// Whether the frame is what its checksum says is for whoever read it: `RecordHeader` alone proves nothing.

public import Base

public final class SealedRecord: Sendable {
  public let header: RecordHeader
  /// Header and payload.
  public let frame: [UInt8]

  public init(header: RecordHeader, frame: [UInt8]) {
    self.header = header
    self.frame = frame
  }

  public var position: Position { header.position }
}

extension SealedRecord: Equatable {
  public static func == (a: SealedRecord, b: SealedRecord) -> Bool {
    a === b || a.header == b.header && a.frame == b.frame
  }
}
