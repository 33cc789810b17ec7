// Hostile datagrams by kind, each with the reasons for which it may be refused; drawn from a seed.

import Base
import Fabric
import Formats
import OpenSSL
import UVLoop

struct PacketsDatagrams {
  enum Kind: String, CaseIterable {
    case foreignKey, unknownKey, replayed, beforeStart, yesterday, truncated, cut, long, mutated, wrongSender, ownSender
    case removedSender, noise
  }

  /// Reasons that fit a kind; any other one is a failure, as is hearing it.
  static func reasons(_ kind: Kind) -> Set<DatagramRefusal> {
    switch kind {
    case .foreignKey, .cut, .wrongSender: [.unauthentic]
    case .unknownKey: [.unknownKey]
    case .replayed: [.replayed, .tooOld]
    // The second, when the attack takes longer than a datagram is fresh.
    case .beforeStart: [.beforeStart, .stale]
    case .yesterday: [.stale]
    case .truncated: [.truncated]
    case .long: [.tooLong]
    case .ownSender: [.reflected]
    case .removedSender: [.removed]
    case .noise: [.foreign, .truncated]
    case .mutated: [.foreign, .unknownKey, .stale, .beforeStart, .unauthentic, .reflected]
    }
  }

  private var random: SeededGenerator
  private var insider: DatagramSealer
  private var foreign: DatagramSealer
  private var unknown: DatagramSealer
  private var removed: DatagramSealer
  private var own: DatagramSealer
  private var past: [[UInt8]] = []
  private var yesterday: [[UInt8]] = []
  private var lengths = 0

  init(seed: UInt64, _ cluster: PacketsCluster, start: UnixMicroseconds) {
    random = SeededGenerator(seed: seed)
    func sealer(_ number: UInt64, _ keys: DatagramKeys) -> DatagramSealer {
      DatagramSealer(sender: PacketsCluster.id(number), keys: keys)
    }
    let other = SecretBytes([UInt8](repeating: 0xee, count: 32))
    insider = sealer(2, cluster.ring)
    // Another cluster's ring, whose key has the same number, and one whose key has not.
    foreign = sealer(2, DatagramKeys(primary: 1, other))
    unknown = sealer(2, DatagramKeys(primary: 77, other))
    removed = sealer(PacketsCluster.removed, cluster.ring)
    own = sealer(1, cluster.ring)
    var former = sealer(2, cluster.ring)
    let day: UnixMicroseconds = 86_400_000_000
    yesterday = (0..<64).map { former.seal(PacketsService.honest, at: start - day + Int64($0))! }
    past = (0..<64).map { former.seal(PacketsService.honest, at: start - 2_000_000 + Int64($0))! }
  }

  /// One that must be heard.
  mutating func honest() -> [UInt8] { insider.seal(PacketsService.honest, at: UVLoop.unixMicroseconds())! }

  /// `heard`: what was heard within the last second.
  mutating func next(_ kind: Kind, heard: [[UInt8]]) -> [UInt8] {
    let now = UVLoop.unixMicroseconds()
    let plain = [UInt8](repeating: 7, count: random.below(600))
    switch kind {
    case .foreignKey: return foreign.seal(plain, at: now)!
    case .unknownKey: return unknown.seal(plain, at: now)!
    case .replayed: return heard[random.below(heard.count)]
    case .beforeStart: return past[random.below(past.count)]
    case .yesterday: return yesterday[random.below(yesterday.count)]
    case .truncated:
      lengths += 1
      return Array(insider.seal(plain, at: now)!.prefix(lengths % FabricDatagram.overhead))
    case .cut: return Array(insider.seal(plain + [1], at: now)!.dropLast(1 + random.below(plain.count + 1)))
    case .long:
      let count = random.oneIn(2) ? 65_507 : FabricDatagram.bytesMax + 1 + random.below(4000)
      return insider.seal(plain, at: now)! + [UInt8](repeating: 0, count: count - plain.count - FabricDatagram.overhead)
    case .mutated: return mutate(insider.seal(plain, at: now)!)
    case .wrongSender:
      var bytes = insider.seal(plain, at: now)!
      for i in 6..<22 { bytes[i] = UInt8(random.below(256)) }
      return bytes
    case .ownSender: return own.seal(plain, at: now)!
    case .removedSender: return removed.seal(plain, at: now)!
    case .noise:
      return [UInt8](unsafeUninitializedCapacity: 200) { buffer, used in
        used = random.below(200)
        for i in 0..<used { buffer[i] = UInt8(truncatingIfNeeded: random.next()) }
        if used > 0, buffer[0] == FabricDatagram.mark { buffer[0] = 0 }
      }
    }
  }

  /// One to eight bits anywhere, no bit twice.
  private mutating func mutate(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    var bits = Set<Int>()
    for _ in 0...random.below(8) { bits.insert(random.below(bytes.count * 8)) }
    for bit in bits { bytes[bit / 8] ^= 1 << UInt8(bit % 8) }
    return bytes
  }
}
