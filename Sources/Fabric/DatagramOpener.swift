// Opens what others sent, or says why not; each refusal is counted.
//
// The order of the checks bounds what a stranger may cost: size, head, key id, age, and only then one derivation and one
// opening. Nothing is remembered of a sender before a seal of it was right. A restart forgets the windows, so what was
// sent before this start is refused as a whole; what lies in the tolerated future of a fast clock may be heard a second
// time after a restart, for as long as that clock is ahead.

package import Base
import Formats
import OpenSSL

package struct DatagramOpener: Sendable {
  private struct Sender {
    var window: ReplayWindow
    var ciphers: [DatagramCipher]
  }

  package static let sendersMax = 4096
  /// In microseconds. Clocks further apart than this do not talk by datagrams.
  package static let toleranceDefault: UnixMicroseconds = 60_000_000

  private let own: NodeID
  private var start: UnixMicroseconds
  private let tolerance: UnixMicroseconds
  private var keys: DatagramKeys
  private var removed: Set<NodeID> = []
  private var senders: [NodeID: Sender] = [:]
  private var lastPrune: UnixMicroseconds = .min / 2
  package private(set) var refused: [DatagramRefusal: Int] = [:]
  package private(set) var accepted = 0

  package init(
    own: NodeID, keys: DatagramKeys, start: UnixMicroseconds, tolerance: UnixMicroseconds = toleranceDefault
  ) {
    self.own = own
    self.keys = keys
    self.start = start
    self.tolerance = tolerance
  }

  package var senderCount: Int { senders.count }
  /// The newest clock of a sender that was heard.
  package private(set) var newest: UnixMicroseconds = 0

  /// What was sent before `instant` may have been heard by an earlier run.
  package mutating func refuse(before instant: UnixMicroseconds) { start = max(start, instant) }

  /// A change of the ring; ciphers of keys that are gone go too.
  package mutating func use(_ keys: DatagramKeys) {
    self.keys = keys
    for id in senders.keys { senders[id]!.ciphers.removeAll { keys[$0.key] == nil } }
  }

  /// All members that were removed, whose seals are no longer looked at.
  package mutating func refuse(_ ids: Set<NodeID>) { removed = ids }

  /// Drops the windows of senders that were silent for so long that their datagrams are stale anyway. Looks at most once
  /// a second, for it is asked whenever the table is full.
  private mutating func prune(at clock: UnixMicroseconds) {
    guard clock >= lastPrune + 1_000_000 else { return }
    lastPrune = clock
    senders = senders.filter { Int64(clamping: $0.value.window.newest) >= clock - tolerance }
  }

  package mutating func open(
    _ datagram: RawSpan, at clock: UnixMicroseconds
  ) -> Result<(sender: NodeID, plain: [UInt8]), DatagramRefusal> {
    let result = examine(datagram, at: clock)
    switch result {
    case .success: accepted += 1
    case .failure(let reason): refused[reason, default: 0] += 1
    }
    return result
  }

  private mutating func examine(
    _ datagram: RawSpan, at clock: UnixMicroseconds
  ) -> Result<(sender: NodeID, plain: [UInt8]), DatagramRefusal> {
    if datagram.byteCount > FabricDatagram.bytesMax { return .failure(.tooLong) }
    if datagram.byteCount < FabricDatagram.overhead { return .failure(.truncated) }
    let first = datagram.extracting(..<FabricDatagram.headBytes).withUnsafeBytes { [UInt8]($0) }
    guard let head = try? FabricDatagram(decoding: first[...]) else { return .failure(.foreign) }
    guard let key = keys[head.key] else { return .failure(.unknownKey) }
    if head.sender == own { return .failure(.reflected) }
    if removed.contains(head.sender) { return .failure(.removed) }
    guard let sent = Int64(exactly: head.sequence), sent >= clock - tolerance, sent <= clock + tolerance else {
      return .failure(.stale)
    }
    if sent < start { return .failure(.beforeStart) }
    let known = senders[head.sender]
    if known == nil, senders.count >= Self.sendersMax {
      prune(at: clock)
      if senders.count >= Self.sendersMax { return .failure(.tooManySenders) }
    }
    let present = known?.ciphers.first { $0.key == head.key && $0.salt == head.salt }
    let cipher = present ?? DatagramCipher(key, key: head.key, sender: head.sender, salt: head.salt)
    guard let plain = cipher.open(datagram, head) else { return .failure(.unauthentic) }
    if let refusal = admit(head, cipher, isNew: present == nil) { return .failure(refusal) }
    return .success((head.sender, plain))
  }

  private mutating func admit(_ head: FabricDatagram, _ cipher: DatagramCipher, isNew: Bool) -> DatagramRefusal? {
    var sender = senders[head.sender] ?? Sender(window: ReplayWindow(floor: UInt64(max(start - 1, 0))), ciphers: [])
    senders[head.sender] = nil
    if isNew {
      // The newest two: one start may still be under way while the next one's datagrams arrive.
      sender.ciphers = Array(sender.ciphers.suffix(1)) + [cipher]
    }
    let refusal = sender.window.admit(head.sequence)
    senders[head.sender] = sender
    if refusal == nil { newest = max(newest, Int64(clamping: head.sequence)) }
    return refusal
  }
}
