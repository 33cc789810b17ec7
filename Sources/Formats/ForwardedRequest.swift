// A request that a node passes on to the node which leads the account. Layout: Formats.docc/forwarding.md.
//
// It is the client's own request: target and fields go as they came, so that a signature over them still holds, and with
// them the credential that the other node checks again. The body follows as plain bytes to the end of the stream's half.

public import Base

public struct ForwardedField: Hashable, Sendable {
  public var name: String
  public var value: String

  public init(_ name: String, _ value: String) {
    self.name = name
    self.value = value
  }
}

public struct ForwardedRequest: Equatable, Sendable {
  /// The port that it came in by.
  public enum Surface: UInt8, Sendable, CaseIterable {
    case api = 0
    case s3 = 1
  }

  public var surface: Surface
  /// How many nodes have passed it on: 1 or 2.
  public var hops: UInt8
  /// The client waits with its body until it is asked for it.
  public var waitsWithBody: Bool
  /// From the moment it is sent.
  public var deadlineMilliseconds: UInt32
  /// All zeros for a request that belongs to no shard.
  public var account: AccountID
  /// The epoch that the sender believes to be led there; 0 when it does not know.
  public var epoch: Epoch
  public var method: String
  /// Path and query, exactly as received.
  public var target: String
  public var authority: String
  /// The client's address as text; empty when it is not known.
  public var client: String
  public var fields: [ForwardedField]

  public init(
    surface: Surface, hops: UInt8, waitsWithBody: Bool, deadlineMilliseconds: UInt32, account: AccountID,
    epoch: Epoch, method: String, target: String, authority: String, client: String, fields: [ForwardedField]
  ) {
    self.surface = surface
    self.hops = hops
    self.waitsWithBody = waitsWithBody
    self.deadlineMilliseconds = deadlineMilliseconds
    self.account = account
    self.epoch = epoch
    self.method = method
    self.target = target
    self.authority = authority
    self.client = client
    self.fields = fields
  }

  /// The head with its length in front. Refused when something is longer than the layout has room for.
  public func encode() throws(FormatError) -> [UInt8] {
    var writer = ByteWriter(capacity: 512)
    writer.put(UInt32(0))
    writer.put(ForwardingLimits.version)
    writer.put(surface.rawValue)
    writer.put(hops)
    writer.put(UInt8(waitsWithBody ? 1 : 0))
    writer.put(deadlineMilliseconds)
    writer.put(account)
    writer.put(epoch)
    try writer.put(short: method, max: ForwardingLimits.methodBytesMax)
    try writer.put(long: target, max: ForwardingLimits.targetBytesMax)
    try writer.put(short: authority, max: ForwardingLimits.shortBytesMax)
    try writer.put(short: client, max: ForwardingLimits.clientBytesMax)
    try writer.put(fields)
    return try writer.framed()
  }

  /// The head at the front of `bytes` and its length; nil while it is not whole.
  public static func take(_ bytes: ArraySlice<UInt8>) throws(FormatError) -> (head: ForwardedRequest, length: Int)? {
    guard let (frame, length) = try ForwardingFrame.take(bytes) else { return nil }
    return (try ForwardedRequest(frame), length)
  }

  private init(_ frame: ArraySlice<UInt8>) throws(FormatError) {
    var reader = ForwardingReader(frame)
    try reader.takeVersion()
    guard let surface = Surface(rawValue: try reader.take()) else { throw FormatError(.damaged, "surface", at: 5) }
    self.surface = surface
    hops = try reader.take()
    guard (1...ForwardingLimits.hopsMax).contains(hops) else { throw FormatError(.limit, "\(hops) hops", at: 6) }
    let flags: UInt8 = try reader.take()
    guard flags <= 1 else { throw FormatError(.damaged, "flags", at: 7) }
    waitsWithBody = flags == 1
    deadlineMilliseconds = try reader.take()
    account = try reader.takeAccount()
    epoch = try reader.take()
    method = try reader.takeShort(max: ForwardingLimits.methodBytesMax)
    target = try reader.takeLong(max: ForwardingLimits.targetBytesMax)
    authority = try reader.takeShort(max: ForwardingLimits.shortBytesMax)
    client = try reader.takeShort(max: ForwardingLimits.clientBytesMax)
    fields = try reader.takeFields()
    try reader.finish()
  }
}
