// The bytes of replication: round trips, refusals with their reason, and whatever a stranger may send.

import Base
import Formats
import Testing

@Suite("Bytes of replication")
struct ReplicationFormatTests {
  static let records = ReplicaScene.records([1, 1, 2], open: [1])
  static let messages: [ReplicationMessage] = [
    .append(.init(account: ReplicaScene.account, epoch: 1, previous: .start, commit: 0)),
    .append(
      .init(
        account: ReplicaScene.account, epoch: 2, previous: .start, records: records, commit: 1, echo: 77, asks: true)),
    .ack(
      .init(
        account: ReplicaScene.account, epoch: 2, synced: records[1].position, end: 3, applied: 1, sentAt: 5,
        asks: true)),
    .refuse(
      .init(
        account: ReplicaScene.account, epoch: 2, previous: 9, end: records[2].position, committed: records[0].position,
        why: .damaged)),
    .base(.init(account: ReplicaScene.account, epoch: 2, from: 8)),
  ]
  static let payload = RecordingsPayload(ids: [RecordingID(bits: 1), RecordingID(bits: 1 << 100)])

  @Test("what was encoded comes back")
  func roundTrips() throws {
    for message in Self.messages { #expect(try ReplicationMessage(message.encode()) == message) }
    #expect(try RecordingsPayload(Self.payload.encode()) == Self.payload)
  }

  @Test("every cut is refused, and everything that is too long")
  func cuts() {
    for bytes in Self.messages.map({ $0.encode() }) {
      for count in bytes.indices {
        #expect(throws: FormatError.self) { try ReplicationMessage(Array(bytes[..<count])) }
      }
      #expect(throws: FormatError.self) { try ReplicationMessage(bytes + [0]) }
    }
    let bytes = Self.payload.encode()
    for count in bytes.indices { #expect(throws: FormatError.self) { try RecordingsPayload(Array(bytes[..<count])) } }
    #expect(throws: FormatError.self) { try RecordingsPayload([0, 0, 0, 0]) }
    #expect(throws: FormatError.self) { try RecordingsPayload([0xFF, 0xFF, 0xFF, 0xFF]) }
  }

  @Test("records must be the account's, follow each other, and not be of a later epoch than the message")
  func chain() {
    func refuses(_ records: [SealedRecord], epoch: Epoch = 2, behind: Position = .start) {
      let append = ReplicationMessage.Append(
        account: ReplicaScene.account, epoch: epoch, previous: behind, records: records, commit: 0)
      #expect(throws: FormatError.self) { try ReplicationMessage(ReplicationMessage.append(append).encode()) }
    }
    refuses([Self.records[0], Self.records[2]])
    refuses([Self.records[1]])
    refuses(Self.records, epoch: 1)
    refuses([Self.records[1]], behind: Self.records[2].position)
    refuses([Self.records[1]], behind: Position(epoch: 1, index: 1, checksum: .zero))
  }

  @Test("a single record may be larger than a message of several")
  func large() throws {
    let large = ReplicaScene.records([1], bytes: Limits.recordBytesMax)
    let message = ReplicationMessage.append(
      .init(account: ReplicaScene.account, epoch: 1, previous: .start, records: large, commit: 0))
    #expect(message.encode().count == ReplicationLimits.messageBytesMax)
    #expect(try ReplicationMessage(message.encode()) == message)
    #expect(throws: FormatError.self) { try ReplicationMessage(message.encode() + [0]) }
  }

  @Test("twenty thousand damaged inputs are refused or read, and nothing traps")
  func damage() {
    var random = SeededGenerator(seed: 12)
    let inputs = Self.messages.map { $0.encode() } + [Self.payload.encode()]
    var read = 0
    for _ in 0..<20_000 {
      var bytes = inputs[random.below(inputs.count)]
      for _ in 0..<(1 + random.below(4)) {
        switch random.below(4) {
        case 0 where !bytes.isEmpty: bytes[random.below(bytes.count)] ^= 1 << UInt8(random.below(8))
        case 1 where !bytes.isEmpty: bytes.removeLast(1 + random.below(bytes.count))
        case 2 where bytes.count > 8:
          let at = random.below(bytes.count - 7)
          for i in 0..<8 { bytes[at + i] = 0xFF }
        default: bytes.insert(UInt8(random.below(256)), at: random.below(bytes.count + 1))
        }
      }
      if let message = try? ReplicationMessage(bytes) {
        read += 1
        #expect(message.encode() == bytes)
      }
      if let payload = try? RecordingsPayload(bytes) { #expect(payload.encode() == bytes) }
    }
    #expect(read > 0)
  }
}
