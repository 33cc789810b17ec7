// The walls around what one replica may send another: sizes and counts that no correct sender exceeds.

import Base

public enum ReplicationLimits {
  /// Records of one message, their headers included; a single record may be larger.
  public static let recordsBytesMax = 4 << 20
  public static let recordsMax = 4096
  /// A message with one record as large as may be.
  public static let messageBytesMax = ReplicationMessage.appendBytes + RecordHeader.byteCount + Limits.recordBytesMax
}
