// What comes back for a forwarded request, before the bytes of the reply's body. Layout: Formats.docc/forwarding.md.

public import Base

public enum ForwardedReply: Equatable, Sendable {
  /// Head and credential are in order: the client may send its body. More follows.
  case wantsBody
  /// This node does not lead the account. Nothing was done; the epoch is the newest one that it knows.
  case notHere(epoch: Epoch)
  /// The reply's head; its body follows to the end of the stream's half.
  case head(status: UInt16, fields: [ForwardedField])

  public func encode() throws(FormatError) -> [UInt8] {
    var writer = ByteWriter(capacity: 256)
    writer.put(UInt32(0))
    writer.put(ForwardingLimits.version)
    switch self {
    case .wantsBody: writer.put(UInt8(1))
    case .notHere(let epoch):
      writer.put(UInt8(2))
      writer.put(epoch)
    case .head(let status, let fields):
      writer.put(UInt8(3))
      writer.put(status)
      try writer.put(fields)
    }
    return try writer.framed()
  }

  /// The reply at the front of `bytes` and its length; nil while it is not whole.
  public static func take(_ bytes: ArraySlice<UInt8>) throws(FormatError) -> (head: ForwardedReply, length: Int)? {
    guard let (frame, length) = try ForwardingFrame.take(bytes) else { return nil }
    var reader = ForwardingReader(frame)
    try reader.takeVersion()
    let reply: ForwardedReply
    switch try reader.take(UInt8.self) {
    case 1: reply = .wantsBody
    case 2: reply = .notHere(epoch: try reader.take())
    case 3:
      let status: UInt16 = try reader.take()
      guard (200...599).contains(status) else { throw FormatError(.limit, "status \(status)", at: 6) }
      reply = .head(status: status, fields: try reader.takeFields())
    case let kind: throw FormatError(.damaged, "reply kind \(kind)", at: 5)
    }
    try reader.finish()
    return (reply, length)
  }
}
