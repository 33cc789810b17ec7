import Base
import Formats
import Testing

@Suite struct LogFormatTests {
  private func record(_ index: LogIndex, payload: Int) -> RecordHeader {
    RecordHeader(
      kind: .pages, continues: index % 2 == 0, account: AccountID(bits: 7), epoch: 3, index: index, commitIndex: 1,
      time: 5, payloadBytes: payload, nonce: Array(0..<12), previous: Checksum(bits: 9), checksum: Checksum(bits: 10))
  }

  @Test("a record's header comes back as it was written")
  func recordHeader() throws {
    let header = record(41, payload: 1000)
    #expect(header.encode().count == RecordHeader.byteCount)
    #expect(try RecordHeader(header.encode()[...]) == header)
  }

  @Test("a record longer than the limit is refused")
  func longRecord() {
    var bytes = record(1, payload: 0).encode()
    for i in 56..<60 { bytes[i] = 0xFF }
    #expect(throws: FormatError.self) { try RecordHeader(bytes[...]) }
  }

  @Test("a group's blocks hold its frames one after the other")
  func group() {
    var random = SeededGenerator(seed: 1)
    for size in [0, 1, 400, 491, 492, 493, 5000] {
      let frames = [[UInt8]](repeating: (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next()) }, count: 3)
      let blocks = LogBlock.encodeGroup(frames, generation: 9, group: 4)
      #expect(blocks.count == LogBlock.blocks(forRecordBytes: size * 3) * Limits.logBlockBytes)
      var payload: [UInt8] = []
      for start in stride(from: 0, to: blocks.count, by: Limits.logBlockBytes) {
        let block = blocks[start..<(start + Limits.logBlockBytes)]
        #expect(LogBlock.read(block, generation: 9) == .block(group: 4))
        payload += block.dropFirst(LogBlock.headerBytes)
      }
      #expect(payload[4..<(4 + size * 3)] == frames.flatMap { $0 }[...])
    }
  }

  @Test("every flipped bit of a block is damage, never another block")
  func flippedBlock() {
    let blocks = LogBlock.encodeGroup([[UInt8](repeating: 0xAB, count: 300)], generation: 77, group: 2)
    for bit in 0..<(Limits.logBlockBytes * 8) {
      var flipped = blocks
      flipped[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(LogBlock.read(flipped[...], generation: 77) == .damaged)
    }
  }

  @Test("a block of another generation, or none, does not count")
  func foreignBlock() {
    let blocks = LogBlock.encodeGroup([[1, 2, 3]], generation: 76, group: 2)
    #expect(LogBlock.read(blocks[...], generation: 77) == .foreign)
    #expect(LogBlock.read([UInt8](repeating: 0, count: Limits.logBlockBytes)[...], generation: 77) == .foreign)
  }

  @Test("headers of files come back, and no flipped bit passes")
  func fileHeaders() throws {
    let log = LogFileHeader(generation: 5, oldestLive: 2, wholeFrom: 3, fileBytes: 1 << 20, node: NodeID(bits: 3))
    #expect(try LogFileHeader(log.encode()) == log)
    everyFlipIsRefused(log.encode()) { try LogFileHeader($0) }
    let segment = SegmentHeader(account: AccountID(bits: 4), firstIndex: 17, previous: Checksum(bits: 6))
    #expect(try SegmentHeader(segment.encode()) == segment)
    #expect(segment.fileName == "0000000000000011.kseg")
    everyFlipIsRefused(segment.encode()) { try SegmentHeader($0) }
    let volume = VolumeHeader(account: AccountID(bits: 4), number: 12)
    #expect(try VolumeHeader(volume.encode()) == volume)
    everyFlipIsRefused(volume.encode()) { try VolumeHeader($0) }
    let pages = PageFileHeader(account: AccountID(bits: 4))
    #expect(try PageFileHeader(pages.encode()) == pages)
  }

  @Test("redo slots and page keys come back, and no flipped bit passes")
  func redoAndKeys() throws {
    let position = Position(epoch: 2, index: 90, checksum: Checksum(bits: 11))
    let slot = RedoSlot(
      account: AccountID(bits: 4), sequence: 8, mark: position, databasePages: 77, segmentsEnd: position, epoch: 3,
      committed: 91, reached: LogPlace(epoch: 4, index: 95),
      cut: Position(epoch: 2, index: 89, checksum: Checksum(bits: 12)))
    #expect(try RedoSlot(slot.encode()) == slot)
    everyFlipIsRefused(slot.encode()) { try RedoSlot($0) }
    let keys = PageKeysFile(
      account: AccountID(bits: 4),
      entries: [.init(id: 1, nonce: [UInt8](repeating: 1, count: 12), wrapped: [UInt8](repeating: 2, count: 48))])
    #expect(try PageKeysFile(keys.encode()) == keys)
    everyFlipIsRefused(keys.encode()) { try PageKeysFile($0) }
  }

  private func everyFlipIsRefused(_ bytes: [UInt8], _ read: ([UInt8]) throws -> some Any) {
    for bit in 0..<(bytes.count * 8) {
      var flipped = bytes
      flipped[bit / 8] ^= 1 << UInt8(bit % 8)
      #expect(throws: FormatError.self) { try read(flipped) }
    }
  }
}
