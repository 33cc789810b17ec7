// The bytes of ownership: round trips, refusals with their reason, and whatever a stranger may send or store.

import Base
import Formats
import Testing

@Suite("Bytes of ownership")
struct OwnershipFormatTests {
  private static func node(_ n: Int) -> NodeID { NodeID(bits: UInt128(n)) }
  private static func account(_ n: Int) -> AccountID { AccountID(bits: UInt128(n) << 64) }
  private static func replicas(_ numbers: [Int]) -> [OwnershipRecord.Replica] {
    numbers.map { OwnershipRecord.Replica(node: node($0), region: "r\($0)") }
  }
  private static func claims(_ count: Int) -> [OwnershipClaim] {
    (0..<count).map { OwnershipClaim(account: account($0), epoch: UInt64($0)) }
  }

  static let records = [
    OwnershipRecord(account: account(1), goal: 0, epoch: 1, voters: replicas([1])),
    OwnershipRecord(
      account: account(2), goal: 2, epoch: 1 << 62, primary: node(3), voters: replicas([1, 2, 3, 4, 5, 6, 7]),
      previous: replicas([3, 4, 5]), previousGoal: 1, learners: replicas([9])),
  ]
  static let messages: [OwnershipMessage] = [
    .beat(.init(life: 1, sequence: 2)),
    .beat(
      .init(
        life: 1, sequence: 2, claims: claims(3), released: claims(1), confirmed: claims(2),
        places: [ReplicaPlace(account: account(1), node: node(2), place: LogPlace(epoch: 3, index: 4))])),
    .reply(.init(life: 1, holderLife: 2, sequence: 3, isGranted: true, accepted: claims(2), ended: claims(1))),
    .reports([.init(claim: claims(5)[4], place: LogPlace(epoch: 3, index: 7), hears: true)]),
  ]
  static let promise = OwnershipPromise(account: account(1), epoch: 7, floor: LogPlace(epoch: 6, index: 12))

  @Test("what was encoded comes back")
  func roundTrips() throws {
    for record in Self.records { #expect(try OwnershipRecord(record.encode()) == record) }
    for message in Self.messages { #expect(try OwnershipMessage(message.encode()) == message) }
    #expect(try OwnershipPromise(Self.promise.encode()) == Self.promise)
  }

  @Test("every cut is refused, and everything that is too long")
  func cuts() {
    func refuses(_ bytes: [UInt8], _ read: ([UInt8]) throws -> Void) {
      for count in bytes.indices { #expect(throws: FormatError.self) { try read(Array(bytes[..<count])) } }
      #expect(throws: FormatError.self) { try read(bytes + [0]) }
    }
    for record in Self.records { refuses(record.encode()) { _ = try OwnershipRecord($0) } }
    for message in Self.messages { refuses(message.encode()) { _ = try OwnershipMessage($0) } }
    refuses(Self.promise.encode()) { _ = try OwnershipPromise($0) }
  }

  @Test("limits are checked before anything is allocated")
  func limits() {
    func code(_ body: () throws -> Void) -> FormatError.Code? {
      do { try body() } catch { return (error as? FormatError)?.code }
      return nil
    }
    #expect(code { _ = try OwnershipMessage([UInt8](repeating: 0, count: 70_000)) } == .limit)
    #expect(code { _ = try OwnershipRecord([UInt8](repeating: 0, count: 5000)) } == .limit)
    var beat = Self.messages[0].encode()
    (beat[18], beat[19]) = (0xFF, 0xFF)
    #expect(code { _ = try OwnershipMessage(beat) } == .limit)
    (beat[18], beat[19]) = (0x00, 0x02)
    #expect(code { _ = try OwnershipMessage(beat) } == .truncated)
    beat = Self.messages[0].encode()
    beat[9] = 0xFF
    #expect(code { _ = try OwnershipMessage(beat) } == .limit)
    beat[0] = 2
    #expect(code { _ = try OwnershipMessage(beat) } == .version)
    var record = Self.records[0].encode()
    record[1] = 3
    #expect(code { _ = try OwnershipRecord(record) } == .damaged)
  }

  @Test("the largest of everything fits into its limit")
  func largest() throws {
    let entries = Self.claims(OwnershipLimits.entriesMax)
    let place = ReplicaPlace(account: Self.account(1), node: Self.node(1), place: .start)
    let places = [ReplicaPlace](repeating: place, count: OwnershipLimits.entriesMax)
    let beat = OwnershipMessage.beat(
      .init(life: 1, sequence: 1, claims: entries, released: entries, confirmed: entries, places: places))
    #expect(try OwnershipMessage(beat.encode()) == beat)
    let region = String(repeating: "x", count: GossipLimits.textBytesMax)
    let replicas = (0..<16).map { OwnershipRecord.Replica(node: Self.node($0), region: region) }
    let record = OwnershipRecord(
      account: Self.account(1), goal: 2, epoch: 1, primary: Self.node(1), voters: Array(replicas.prefix(7)),
      previous: Array(replicas.suffix(7)), previousGoal: 2, learners: replicas)
    #expect(try OwnershipRecord(record.encode()) == record)
  }

  @Test("twenty thousand damaged inputs are refused or read, and nothing traps")
  func damage() {
    var random = SeededGenerator(seed: 11)
    let inputs = Self.records.map { $0.encode() } + Self.messages.map { $0.encode() } + [Self.promise.encode()]
    var (read, promisesRead) = (0, 0)
    for _ in 0..<20_000 {
      var bytes = inputs[random.below(inputs.count)]
      for _ in 0..<(1 + random.below(4)) {
        switch random.below(4) {
        case 0 where !bytes.isEmpty: bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
        case 1 where !bytes.isEmpty: bytes.removeLast(1 + random.below(bytes.count))
        case 2 where bytes.count > 2:
          let at = random.below(bytes.count - 1)
          (bytes[at], bytes[at + 1]) = (0xFF, 0xFF)
        default: bytes.insert(UInt8(random.below(256)), at: random.below(bytes.count + 1))
        }
      }
      if let message = try? OwnershipMessage(bytes) {
        read += 1
        #expect(message.encode() == bytes)
      }
      if let record = try? OwnershipRecord(bytes) { #expect(record.encode() == bytes) }
      if let promise = try? OwnershipPromise(bytes) {
        promisesRead += 1
        #expect(promise == Self.promise)
      }
    }
    #expect(read > 0)
    #expect(promisesRead < 100)
  }
}
