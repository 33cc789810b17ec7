// What a forwarded head may have. A node's own HTTP ports take less, so nothing that they let in is refused here.

public enum ForwardingLimits {
  public static let version: UInt8 = 1
  /// A request goes to the node that leads and, when that has just handed over, once more.
  public static let hopsMax: UInt8 = 2
  public static let headBytesMax = 128 << 10
  public static let methodBytesMax = 32
  public static let targetBytesMax = 32 << 10
  public static let shortBytesMax = 255
  public static let clientBytesMax = 64
  public static let fieldsMax = 256
  public static let fieldValueBytesMax = 32 << 10
}
