// What nodes say to each other about ownership: beats and their replies, one pair for all shards that two nodes share,
// and the reports of voters that adopted an epoch.
//
// The channel below proves sender and integrity; it may lose, repeat and reorder. A message is taken whole or not at all.

import Base

public enum OwnershipMessage: Hashable, Sendable, CustomStringConvertible {
  static let version: UInt8 = 1

  /// Asks for a lease over all shards that the sender leads and the receiver votes in.
  public struct Beat: Hashable, Sendable {
    /// Of the sender's process: greater after each start.
    public var life: UInt64
    public var sequence: UInt64
    /// Led by the sender, and not yet taken by the receiver.
    public var claims: [OwnershipClaim]
    /// Named for the sender by the control store, and not led by it any more.
    public var released: [OwnershipClaim]
    /// Ended grants that the sender has understood: it leads nothing older.
    public var confirmed: [OwnershipClaim]
    /// What replicas have acknowledged to the sender.
    public var places: [ReplicaPlace]

    public init(
      life: UInt64, sequence: UInt64, claims: [OwnershipClaim] = [], released: [OwnershipClaim] = [],
      confirmed: [OwnershipClaim] = [], places: [ReplicaPlace] = []
    ) {
      self.life = life
      self.sequence = sequence
      self.claims = claims
      self.released = released
      self.confirmed = confirmed
      self.places = places
    }
  }

  public struct Reply: Hashable, Sendable {
    /// Of the replying process.
    public var life: UInt64
    /// Of the beat that is answered.
    public var holderLife: UInt64
    public var sequence: UInt64
    /// Does the lease run on? Not when the ended grants do not fit, or soon after a start.
    public var isGranted: Bool
    /// Claims of this beat that are taken.
    public var accepted: [OwnershipClaim]
    /// Grants below these epochs have ended; repeated until confirmed.
    public var ended: [OwnershipClaim]

    public init(
      life: UInt64, holderLife: UInt64, sequence: UInt64, isGranted: Bool, accepted: [OwnershipClaim] = [],
      ended: [OwnershipClaim] = []
    ) {
      self.life = life
      self.holderLife = holderLife
      self.sequence = sequence
      self.isGranted = isGranted
      self.accepted = accepted
      self.ended = ended
    }
  }

  /// A voter that has adopted the epoch says where its log ended then.
  public struct Report: Hashable, Sendable {
    public var claim: OwnershipClaim
    public var place: LogPlace
    /// Does it hear enough of the others to lead?
    public var hears: Bool

    public init(claim: OwnershipClaim, place: LogPlace, hears: Bool) {
      self.claim = claim
      self.place = place
      self.hears = hears
    }
  }

  case beat(Beat)
  case reply(Reply)
  case reports([Report])

  /// Traps on a message over the limits: the sender chose what goes in.
  public func encode() -> [UInt8] {
    var w = ByteWriter(capacity: 128)
    w.put(Self.version)
    switch self {
    case .beat(let beat):
      w.put(UInt8(0))
      w.put(beat.life)
      w.put(beat.sequence)
      for claims in [beat.claims, beat.released, beat.confirmed] { Self.encode(claims, &w) }
      Self.encode(count: beat.places.count, &w)
      for place in beat.places { place.encode(to: &w) }
    case .reply(let reply):
      w.put(UInt8(1))
      w.put(reply.life)
      w.put(reply.holderLife)
      w.put(reply.sequence)
      w.put(UInt8(reply.isGranted ? 1 : 0))
      for claims in [reply.accepted, reply.ended] { Self.encode(claims, &w) }
    case .reports(let reports):
      w.put(UInt8(2))
      Self.encode(count: reports.count, &w)
      for report in reports {
        report.claim.encode(to: &w)
        report.place.encode(to: &w)
        w.put(UInt8(report.hears ? 1 : 0))
      }
    }
    precondition(w.bytes.count <= OwnershipLimits.messageBytesMax, "an ownership message of \(w.bytes.count) bytes")
    return w.bytes
  }

  public init(_ bytes: [UInt8]) throws(FormatError) {
    guard bytes.count <= OwnershipLimits.messageBytesMax else {
      throw FormatError(.limit, "an ownership message of \(bytes.count) bytes")
    }
    var r = OwnershipReader(bytes)
    try r.takeVersion(Self.version, of: "ownership message")
    let kind: UInt8 = try r.take()
    switch kind {
    case 0:
      var beat = Beat(life: try r.takeEpoch(), sequence: try r.takeEpoch())
      beat.claims = try Self.claims(&r)
      beat.released = try Self.claims(&r)
      beat.confirmed = try Self.claims(&r)
      let count = try r.takeCount(limit: OwnershipLimits.entriesMax, entryBytes: ReplicaPlace.byteCount)
      for _ in 0..<count { beat.places.append(try ReplicaPlace(from: &r)) }
      self = .beat(beat)
    case 1:
      var reply = Reply(
        life: try r.takeEpoch(), holderLife: try r.takeEpoch(), sequence: try r.takeEpoch(),
        isGranted: try r.takeFlag())
      reply.accepted = try Self.claims(&r)
      reply.ended = try Self.claims(&r)
      self = .reply(reply)
    case 2:
      let count = try r.takeCount(limit: OwnershipLimits.entriesMax, entryBytes: 41)
      var reports: [Report] = []
      for _ in 0..<count {
        let claim = try OwnershipClaim(from: &r)
        let place = try LogPlace(from: &r)
        reports.append(Report(claim: claim, place: place, hears: try r.takeFlag()))
      }
      self = .reports(reports)
    default: throw FormatError(.damaged, "ownership message of kind \(kind)", at: 1)
    }
    try r.finish()
  }

  private static func encode(count: Int, _ w: inout ByteWriter) {
    precondition(count <= OwnershipLimits.entriesMax, "\(count) entries in an ownership message")
    w.put(UInt16(count))
  }

  private static func encode(_ claims: [OwnershipClaim], _ w: inout ByteWriter) {
    encode(count: claims.count, &w)
    for claim in claims { claim.encode(to: &w) }
  }

  private static func claims(_ r: inout OwnershipReader) throws(FormatError) -> [OwnershipClaim] {
    let count = try r.takeCount(limit: OwnershipLimits.entriesMax, entryBytes: OwnershipClaim.byteCount)
    var claims: [OwnershipClaim] = []
    claims.reserveCapacity(count)
    for _ in 0..<count { claims.append(try OwnershipClaim(from: &r)) }
    return claims
  }

  public var description: String {
    switch self {
    case .beat(let beat):
      "beat \(beat.sequence)" + Self.list("claims", beat.claims) + Self.list("released", beat.released)
        + Self.list("confirmed", beat.confirmed)
    case .reply(let reply):
      "reply \(reply.sequence)" + (reply.isGranted ? "" : " not granted") + Self.list("accepted", reply.accepted)
        + Self.list("ended", reply.ended)
    case .reports(let reports):
      "reports " + reports.map { "\($0.claim) \($0.place)\($0.hears ? "" : " deaf")" }.joined(separator: ", ")
    }
  }

  private static func list(_ title: String, _ claims: [OwnershipClaim]) -> String {
    claims.isEmpty ? "" : " \(title) " + claims.map(\.description).joined(separator: " ")
  }
}
