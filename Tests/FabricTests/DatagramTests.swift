// Sealed datagrams: heard once by the right peers, refused by name otherwise.

import Base
import Fabric
import Formats
import OpenSSL
import Testing

struct DatagramTests {
  static let start: UnixMicroseconds = 1_800_000_000_000_000
  static let a = NodeID(bits: 1)
  static let b = NodeID(bits: 2)

  static func keys(_ id: UInt32 = 1) -> DatagramKeys {
    DatagramKeys(primary: id, SecretBytes([UInt8](repeating: UInt8(id), count: 32)))
  }

  static func sealer(_ keys: DatagramKeys = keys(), sender: NodeID = a, salt: UInt64 = 7) -> DatagramSealer {
    DatagramSealer(sender: sender, keys: keys, salt: salt)
  }

  static func opener(_ keys: DatagramKeys = keys(), start: UnixMicroseconds = start) -> DatagramOpener {
    DatagramOpener(own: b, keys: keys, start: start)
  }

  @Test("a datagram is heard once, with its sender and its bytes")
  func once() throws {
    var (sealer, opener) = (Self.sealer(), Self.opener())
    for size in [0, 1, 1200, FabricDatagram.plainBytesMax] {
      let plain = [UInt8](repeating: 9, count: size)
      let sealed = sealer.seal(plain, at: Self.start + 5)!
      #expect(sealed.count == size + FabricDatagram.overhead)
      let heard = try opener.open(sealed.span.bytes, at: Self.start + 10).get()
      #expect(heard.sender == Self.a && heard.plain == plain)
      #expect(opener.refusal(sealed, at: Self.start + 10) == .replayed)
    }
    #expect(sealer.seal([UInt8](repeating: 0, count: FabricDatagram.plainBytesMax + 1), at: Self.start) == nil)
    #expect(opener.accepted == 4 && opener.refused == [.replayed: 4])
  }

  @Test("datagrams may overtake each other, but none is heard twice or after the window")
  func window() {
    var (sealer, opener) = (Self.sealer(), Self.opener())
    let sealed = (0..<1000).map { sealer.seal([UInt8(truncatingIfNeeded: $0)], at: Self.start + Int64($0))! }
    var random = SeededGenerator(seed: 1)
    // Shuffled within blocks of 100, each sent twice.
    for block in stride(from: 0, to: 1000, by: 100) {
      for i in (block..<(block + 100)).shuffled(using: &random) {
        #expect(opener.refusal(sealed[i], at: Self.start + 1000) == nil)
        #expect(opener.refusal(sealed[i], at: Self.start + 1000) == .replayed)
      }
    }
    for i in 0..<744 { #expect(opener.refusal(sealed[i], at: Self.start + 1000) == .tooOld) }
    for i in 744..<1000 { #expect(opener.refusal(sealed[i], at: Self.start + 1000) == .replayed) }
  }

  @Test("every wrong datagram is refused by its name")
  func refused() {
    let now = Self.start + 1000
    var (sealer, opener) = (Self.sealer(), Self.opener())
    let good = sealer.seal([1, 2, 3], at: now)!
    #expect(opener.refusal([UInt8](repeating: 0x4b, count: 64 << 10), at: now) == .tooLong)
    for count in 0..<FabricDatagram.overhead {
      #expect(opener.refusal(Array(good.prefix(count)), at: now) == .truncated)
    }
    #expect(opener.refusal(good.dropLast(), at: now) == .unauthentic)
    #expect(opener.refusal(good + [0], at: now) == .unauthentic)
    #expect(opener.refusal([UInt8](repeating: 0, count: 100), at: now) == .foreign)
    var unknown = Self.sealer(Self.keys(2))
    #expect(opener.refusal(unknown.seal([1], at: now)!, at: now) == .unknownKey)
    // The same id, another key.
    var foreign = Self.sealer(DatagramKeys(primary: 1, SecretBytes([UInt8](repeating: 99, count: 32))))
    #expect(opener.refusal(foreign.seal([1], at: now)!, at: now) == .unauthentic)
    var own = Self.sealer(sender: Self.b)
    #expect(opener.refusal(own.seal([1], at: now)!, at: now) == .reflected)
    // Another sender in the head of a sealed datagram.
    var swapped = good
    swapped[6] ^= 1
    #expect(opener.refusal(swapped, at: now) == .unauthentic)
    #expect(opener.refusal(good, at: now) == nil)
    #expect(opener.senderCount == 1)
  }

  @Test("yesterday's datagrams are refused, by a node that heard them and by one that has just started")
  func replay() {
    let day: UnixMicroseconds = 86_400_000_000
    var (sealer, opener) = (Self.sealer(), Self.opener())
    let old = (0..<100).map { sealer.seal([1], at: Self.start + Int64($0) * 1000)! }
    for datagram in old { #expect(opener.refusal(datagram, at: Self.start + 200_000) == nil) }
    for datagram in old { #expect(opener.refusal(datagram, at: Self.start + day) == .stale) }
    // Restarted a second later: it remembers nothing and refuses all that was sent before.
    var restarted = Self.opener(start: Self.start + 1_000_000)
    for datagram in old { #expect(restarted.refusal(datagram, at: Self.start + 1_200_000) == .beforeStart) }
    #expect(restarted.refusal(sealer.seal([2], at: Self.start + 1_300_000)!, at: Self.start + 1_300_000) == nil)
  }

  @Test("a sender that restarts is heard at once, and datagrams of its former life are not")
  func senderRestart() {
    var (sealer, opener) = (Self.sealer(), Self.opener())
    let old = (0..<300).map { sealer.seal([1], at: Self.start + Int64($0))! }
    for datagram in old { #expect(opener.refusal(datagram, at: Self.start + 400) == nil) }
    var second = Self.sealer(salt: 1000)
    #expect(opener.refusal(second.seal([2], at: Self.start + 500)!, at: Self.start + 500) == nil)
    for datagram in old { #expect(opener.refusal(datagram, at: Self.start + 500) != nil) }
  }

  @Test("a clock that jumps ahead and is set back silences a sender no longer than the tolerance, and no nonce repeats")
  func clocks() throws {
    var (sealer, opener) = (Self.sealer(), Self.opener())
    var nonces = Set<[UInt8]>()
    func send(_ clock: UnixMicroseconds) throws -> [UInt8] {
      let sealed = sealer.seal([1], at: clock)!
      let head = try FabricDatagram(decoding: sealed[...])
      #expect(nonces.insert(Array(sealed[22..<38])).inserted, "salt and sequence repeat")
      #expect(head.sequence >= UInt64(clock))
      return sealed
    }
    #expect(opener.refusal(try send(Self.start), at: Self.start) == nil)
    let hour: UnixMicroseconds = 3_600_000_000
    #expect(opener.refusal(try send(Self.start + hour), at: Self.start + 1) == .stale)
    for i in 2..<50 { #expect(opener.refusal(try send(Self.start + Int64(i)), at: Self.start + Int64(i)) == nil) }
    // Set back by less than the sequence may run ahead: it just goes on.
    for i in 0..<50 { #expect(opener.refusal(try send(Self.start + Int64(i)), at: Self.start + 50) == nil) }
  }

  @Test("keys rotate without losing a datagram, and a removed key is refused")
  func rotation() {
    var (sealer, opener) = (Self.sealer(), Self.opener())
    var now = Self.start
    func exchange() -> DatagramRefusal? {
      now += 1
      return opener.refusal(sealer.seal([1], at: now)!, at: now)
    }
    var ring = Self.keys(1)
    func add(_ id: UInt32, _ byte: UInt8) -> Bool { ring.add(id, SecretBytes([UInt8](repeating: byte, count: 32))) }
    #expect(exchange() == nil)
    #expect(add(2, 2))
    opener.use(ring)
    #expect(exchange() == nil)
    sealer.use(ring)
    #expect(exchange() == nil)
    let made = [ring.makePrimary(2), ring.makePrimary(3)]
    #expect(made == [true, false])
    sealer.use(ring)
    #expect(exchange() == nil)
    let gone = [ring.remove(2), ring.remove(1)]
    #expect(gone == [false, true] && ring.ids == [2])
    opener.use(ring)
    #expect(exchange() == nil)
    var old = Self.sealer(salt: 50)
    #expect(opener.refusal(old.seal([1], at: now)!, at: now) == .unknownKey)
    for id in 3...9 { #expect(add(UInt32(id), 3)) }
    #expect(!add(10, 3))
    // The same id for another key is a mistake, for the same key is none.
    #expect(!add(2, 3) && add(2, 2))
  }

  @Test("a hundred thousand mutated datagrams: none is heard, each is counted, nothing is remembered")
  func fuzz() {
    var (sealer, opener) = (Self.sealer(), Self.opener())
    var random = SeededGenerator(seed: 5)
    let now = Self.start + 1_000_000
    let seeds = (0..<64).map { i in sealer.seal([UInt8](repeating: 1, count: i * 18), at: now)! }
    for _ in 0..<100_000 {
      var bytes = seeds[random.below(seeds.count)]
      switch random.below(8) {
      case 0: bytes.removeLast(random.below(bytes.count) + 1)
      case 1: bytes.append(contentsOf: (0...random.below(40)).map { UInt8($0) })
      case 2: bytes = (0..<random.below(200)).map { _ in UInt8(random.below(256)) }
      default: for _ in 0...random.below(2) { bytes[random.below(bytes.count)] ^= UInt8(1 + random.below(255)) }
      }
      // Two flips of one byte may cancel out.
      if seeds.contains(bytes) { continue }
      #expect(opener.refusal(bytes, at: now) != nil)
    }
    #expect(opener.accepted == 0 && opener.senderCount == 0)
    #expect(opener.refused.values.reduce(0, +) > 99_000)
    #expect(opener.refused.count >= 5)
  }
}

extension DatagramOpener {
  /// Nil when it is heard.
  mutating func refusal(_ datagram: [UInt8], at clock: UnixMicroseconds) -> DatagramRefusal? {
    if case .failure(let reason) = open(datagram.span.bytes, at: clock) { reason } else { nil }
  }
}
