// What account requests and their replies may have; the node's own limits for SQL are narrower.

public enum AccountRequestLimits {
  public static let version: UInt8 = 1
  /// Of the fabric.
  public static let method: UInt16 = 9
  public static let tokenBytesMax = 1024
  public static let statementsMax = 4096
  public static let sqlBytesMax = 1 << 20
  public static let valueBytesMax = 16 << 20
  /// One message without its length. A reply has at most so much too.
  public static let messageBytesMax = 40 << 20
  /// Requests of one line that are not answered yet.
  public static let inFlightMax = 1024
}
