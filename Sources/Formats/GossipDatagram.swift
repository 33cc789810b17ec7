// The plaintext of one gossip datagram. The seal around it names sender and cluster; nothing here repeats them.
//
// It has no magic: whoever could open the seal knows what is inside. A datagram is taken whole or not at all.

import Base

public struct GossipDatagram: Hashable, Sendable, CustomStringConvertible {
  static let version: UInt8 = 1
  private static let headBytes = 16
  /// The sender's own.
  public var incarnation: Incarnation
  public var message: GossipMessage
  public var updates: [GossipUpdate]

  public init(incarnation: Incarnation, message: GossipMessage, updates: [GossipUpdate] = []) {
    self.incarnation = incarnation
    self.message = message
    self.updates = updates
  }

  /// Bytes left for updates beside `message`.
  public static func room(beside message: GossipMessage) -> Int {
    GossipLimits.datagramBytesMax - headBytes - (message.target == nil ? 0 : 16)
  }

  /// Traps when it would exceed the limits: the sender chose the updates by `room(beside:)`.
  public func encode() -> [UInt8] {
    precondition(updates.count <= GossipLimits.updatesMax, "\(updates.count) updates in a datagram")
    var w = ByteWriter(capacity: GossipLimits.datagramBytesMax)
    w.put(Self.version)
    w.put(message.kind)
    w.put(UInt8(updates.count))
    w.put(UInt8(0))
    w.put(incarnation)
    w.put(message.sequence)
    if let target = message.target { w.put(target) }
    for update in updates { update.encode(to: &w) }
    precondition(w.bytes.count <= GossipLimits.datagramBytesMax, "a datagram of \(w.bytes.count) bytes")
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count <= GossipLimits.datagramBytesMax else {
      throw FormatError(.limit, "a datagram of \(bytes.count) bytes")
    }
    var r = GossipReader(bytes)
    try r.takeVersion(Self.version, of: "gossip")
    let kind: UInt8 = try r.take()
    let count = Int(try r.take(UInt8.self))
    guard count <= GossipLimits.updatesMax else { throw FormatError(.limit, "\(count) updates", at: 2) }
    try r.takeZeros(1)
    incarnation = try r.takeIncarnation()
    let sequence: UInt32 = try r.take()
    switch kind {
    case 0: message = .ping(sequence: sequence, target: try r.takeNode())
    case 1: message = .ack(sequence: sequence)
    case 2: message = .pingRequest(sequence: sequence, target: try r.takeNode())
    case 3: message = .nack(sequence: sequence)
    case 4 where sequence == 0: message = .gossip
    default: throw FormatError(.damaged, "message of kind \(kind)", at: 1)
    }
    updates = []
    updates.reserveCapacity(count)
    for _ in 0..<count { updates.append(try GossipUpdate(from: &r)) }
    try r.finish()
  }

  public var description: String {
    updates.isEmpty ? "\(message)" : "\(message) [\(updates.map(\.description).joined(separator: ", "))]"
  }
}
